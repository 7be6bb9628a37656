"""The inbox's sensor: condition true, false, and true but already answered."""

from pathlib import Path

import dagster as dg
import pytest

from orchestration.defs.ingestion import inbox
from orchestration.defs.ingestion.sensors import new_files
from tests.lender_jobs import lender_jobs
from tests.sensor_ticks import LENDER, of_request, tick
from warehouse.settings import Settings


def drop(settings: Settings, name: str) -> Path:
    path = settings.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("id\n1\n")
    return path


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the inbox settle without a wait."""
    monkeypatch.setattr(inbox, "SETTLED_SECONDS", 0.0)


def test_a_new_file_starts_a_refresh_of_its_source_once(home: Settings, instance: dg.DagsterInstance) -> None:
    drop(home, "lending_club/loans.csv")

    requests, cursor = tick(new_files, instance)
    again, said = tick(new_files, instance, cursor)

    [request] = requests
    assert (request.partition_key, request.run_config) == ("lending_club", {})
    assert (again, said) == ([], "lending_club: 1 files wait, each tried before")


def test_a_file_that_was_replaced_is_tried_again(home: Settings, instance: dg.DagsterInstance) -> None:
    drop(home, "lending_club/loans.csv")
    first, cursor = tick(new_files, instance)
    drop(home, "lending_club/loans.csv")

    second, _ = tick(new_files, instance, cursor)

    assert len(second) == 1
    assert second[0].tags != first[0].tags


def test_a_refresh_that_failed_is_followed_by_two_more_though_its_files_have_left(
    home: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy lake used a file up, and what was loaded beside a refused file was built with the next one."""
    file = drop(home, "lending_club/loans/2024-01.csv")
    (request,), cursor = tick(new_files, instance)
    run = of_request(instance, "refresh", request)
    on_its_way = tick(new_files, instance, cursor)
    file.unlink()
    instance.report_run_failed(run)
    soon = tick(new_files, instance, cursor)
    monkeypatch.setattr("orchestration.lib.retries.RETRY_SECONDS", 0)
    for _ in range(2):
        (again,), cursor = tick(new_files, instance, cursor)
        instance.report_run_failed(of_request(instance, "refresh", again))
    given_up = tick(new_files, instance, cursor)
    drop(home, "lending_club/loans/2024-01.csv")
    (anew,), _ = tick(new_files, instance, cursor)

    assert on_its_way == ([], "lending_club: a run is on its way")
    assert soon[0] == []
    assert soon[1].startswith("lending_club: the last run failed, the next is tried in ")
    assert (again.tags, again.run_config) == (request.tags, request.run_config)
    assert again.run_key is None, "Dagster takes each key once, whatever became of its run"
    assert given_up[0] == []
    assert given_up[1].startswith(
        "lending_club: the run for its files failed 3 times: its runs say why; `loanlake run lending_club`"
    )
    assert anew.tags != request.tags, "with three tries of its own"


def test_no_run_is_asked_for_a_lender_that_no_model_reads(home: Settings, instance: dg.DagsterInstance) -> None:
    """It would be refused, three times."""
    drop(home, "new_bank/loans/2024-01.csv")
    home.dbt_parsed.mkdir(parents=True)
    (home.dbt_parsed / "manifest.json").write_text('{"sources": {}}')

    requests, said = tick(new_files, instance)

    assert requests == []
    assert said == (
        "the files of new_bank are not loaded: no dbt model reads the lender, so that a run for it is refused"
    )


def test_no_run_is_asked_for_a_lender_that_dagster_does_not_know(home: Settings, instance: dg.DagsterInstance) -> None:
    """A request for an unknown partition fails the tick, and keeps every other lender's files waiting."""
    drop(home, "new_bank/loans/2024-01.csv")
    drop(home, "lending_club/loans/2024-01.csv")

    requests, cursor = tick(new_files, instance)
    _, said = tick(new_files, instance, cursor)

    assert [request.partition_key for request in requests] == ["lending_club"]
    assert said.startswith(
        "the files of new_bank are not loaded: Dagster has no lender 'new_bank': declare it in `vars"
    )


def test_a_refresh_that_succeeded_is_not_repeated(home: Settings, instance: dg.DagsterInstance) -> None:
    file = drop(home, "lending_club/loans/2024-01.csv")
    (request,), cursor = tick(new_files, instance)
    instance.add_run(dg.DagsterRun(job_name="refresh", status=dg.DagsterRunStatus.SUCCESS, tags=request.tags))
    file.unlink()

    assert tick(new_files, instance, cursor) == ([], "the inbox is empty")


def test_files_that_come_while_a_refresh_is_under_way_start_none_beside_it(
    home: Settings, instance: dg.DagsterInstance
) -> None:
    """A month sent again while its run still waited in the queue was built twice."""
    drop(home, "lending_club/loans/2024-01.csv")
    (request,), cursor = tick(new_files, instance)
    run = of_request(instance, "refresh", request)
    drop(home, "lending_club/loans/2024-02.csv")

    with dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=lender_jobs()) as context:
        meanwhile = new_files.evaluate_tick(context)
    instance.report_run_canceled(run)
    left, _ = tick(new_files, instance, meanwhile.cursor)

    assert not meanwhile.run_requests
    assert meanwhile.skip_message == ("lending_club: files have come since a run was started, which may load them")
    assert len(left) == 1, "the files that it did not load are given to another"
    assert left[0].tags != request.tags


def test_a_lenders_failed_refresh_keeps_no_other_lender_waiting(home: Settings, instance: dg.DagsterInstance) -> None:
    drop(home, "lending_club/loans/2024-01.csv")
    (request,), cursor = tick(new_files, instance)
    instance.report_run_failed(of_request(instance, "refresh", request))
    drop(home, "uci_credit_card/loans/2024-01.csv")

    (others,), _ = tick(new_files, instance, cursor)

    assert others.partition_key == "uci_credit_card"


def test_a_file_that_a_successful_refresh_left_is_given_to_another(
    home: Settings, instance: dg.DagsterInstance
) -> None:
    """Its sender had opened it once more, and closed it without a change."""
    drop(home, "lending_club/loans/2024-01.csv")
    (request,), cursor = tick(new_files, instance)
    instance.add_run(dg.DagsterRun(job_name="refresh", status=dg.DagsterRunStatus.SUCCESS, tags=request.tags))

    assert len(tick(new_files, instance, cursor)[0]) == 1


def test_what_is_passed_over_or_still_written_starts_nothing_and_is_named(
    home: Settings, instance: dg.DagsterInstance
) -> None:
    """A file directly in the inbox was never mentioned."""
    drop(home, "loans.csv")

    with drop(home, "lending_club/loans/2024-01.csv").open("a"):
        requests, said = tick(new_files, instance)

    assert requests == []
    assert said == (
        f"{LENDER}/loans/2024-01.csv may still be written; loans.csv is not loaded: it is not in a source's folder: "
        "move it to inbox/<source>/"
    )


def test_a_refused_file_that_is_renamed_back_is_tried_again(home: Settings, instance: dg.DagsterInstance) -> None:
    file = drop(home, "lending_club/loans/2024-01.csv")
    (first,), cursor = tick(new_files, instance)
    run = of_request(instance, "refresh", first)
    refused = file.rename(file.with_name("2024-01.csv.refused"))
    with dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=lender_jobs()) as context:
        cursor = new_files.evaluate_tick(context).cursor
    instance.report_run_failed(run)
    refused.rename(file)

    (again,), _ = tick(new_files, instance, cursor)

    assert again.tags != first.tags


def test_an_empty_inbox_starts_nothing(home: Settings, instance: dg.DagsterInstance) -> None:
    assert tick(new_files, instance) == ([], "the inbox is empty")
