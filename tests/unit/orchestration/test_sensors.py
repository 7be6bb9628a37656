"""Each sensor with its condition true, false, and true but already answered."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from ml.registry.approval import approve_once
from ml.registry.deployment import CanaryPlan, Challenger, Deployment
from orchestration.defs.batches.sensors import BATCH_TAG, batches_to_score
from orchestration.defs.ingestion import inbox
from orchestration.defs.ingestion.sensors import new_files
from orchestration.defs.monitoring.sensors import alerts_to_send, drift_found, labels_matured, performance_decayed
from orchestration.defs.serving.sensors import canary_to_move, decisions_to_ingest, version_approved
from tests.lender_jobs import lender_jobs, nothing
from tests.logged_contract import publish_contract
from tests.registered_version import registered_version
from tests.unit.warehouse.alerts.shown_alerts import alert, show
from warehouse import decision_log
from warehouse.alerts.prepared import read_prepared
from warehouse.batches import BatchFiles, BatchRequest, BatchStates
from warehouse.figures.published import publish_figures
from warehouse.lake.connection import writer
from warehouse.settings import Settings

JUNE = date(2024, 6, 1)
#: Of a lender that Dagster knows.
LENDER, NAME = "lending_club", "default_risk_lending_club"
of_lender = partial(registered_version, source=LENDER, name=NAME)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def tick(
    sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None = None
) -> tuple[list[dg.RunRequest], str]:
    """The run requests of one evaluation, and what it said or the cursor it left."""
    with dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=lender_jobs()) as context:
        data = sensor.evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message or data.cursor or ""


def decide(settings: Settings, decision_id: str) -> None:
    decision = decision_log.Decision(
        decision_id=decision_id,
        decided_at=datetime(2024, 6, 3),
        source="lending_club",
        application_id="lending_club-1",
        borrower_id=None,
        inputs="{}",
        features='{"loan_to_income":0.5}',
        raw_score=0.0,
        probability=0.5,
        probability_low=0.4,
        probability_high=0.6,
        band="C",
        decision="approve",
        reasons="[]",
        model_name="default_risk_lending_club",
        model_version=1,
        feature_version="v1",
        route="online",
        status="scored",
    )
    publish_contract(settings, decision.model_name, decision.model_version, {"loan_to_income": "double"})
    connection = decision_log.create(settings)
    decision_log.append(connection, [decision])
    connection.close()


@pytest.fixture
def in_service(in_service: Callable[..., Deployment]) -> Callable[..., Deployment]:
    """As elsewhere, of a lender that Dagster knows."""
    return partial(in_service, source=LENDER)


def drop(settings: Settings, name: str) -> Path:
    path = settings.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("id\n1\n")
    return path


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the inbox settle without a wait."""
    monkeypatch.setattr(inbox, "SETTLED_SECONDS", 0.0)


def of_request(instance: dg.DagsterInstance, job: str, request: dg.RunRequest) -> dg.DagsterRun:
    """The run that Dagster makes of a request."""
    return instance.create_run_for_job(dg.JobDefinition(name=job, graph_def=nothing), tags=request.tags)


def test_waiting_decisions_start_a_run(home: Settings, instance: dg.DagsterInstance) -> None:
    decide(home, "d-1")

    requests, _ = tick(decisions_to_ingest, instance)

    assert len(requests) == 1


def test_an_empty_decision_log_starts_none(home: Settings, instance: dg.DagsterInstance) -> None:
    assert tick(decisions_to_ingest, instance) == ([], "nothing waits in the decision log")


def test_decisions_that_a_run_is_about_to_take_start_no_second_run(
    home: Settings, instance: dg.DagsterInstance
) -> None:
    """Prevents a run every fifteen seconds while a busy lake keeps the first one waiting."""
    decide(home, "d-1")
    instance.add_run(dg.DagsterRun(job_name="ingest_decisions", run_id="r-1", status=dg.DagsterRunStatus.STARTED))

    assert tick(decisions_to_ingest, instance) == ([], "1 rows wait; a run is on its way")


def test_without_a_canary_none_is_moved(in_service: Callable[..., Deployment], instance: dg.DagsterInstance) -> None:
    in_service(3)

    assert tick(canary_to_move, instance) == ([], "no canary is running")


def test_a_canary_starts_a_run_only_when_its_step_calls_for_a_move(
    home: Settings,
    in_service: Callable[..., Deployment],
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Failing on each of 400 requests, it goes back; a run that failed is tried again, or it would answer for ever."""
    champion = in_service(3)
    canary = Challenger(
        "canary", 0.1, replace(champion, model_version=4), CanaryPlan(), "2024-06-01T00:00:00.000+00:00"
    )
    home.deployment("lending_club").write_text(json.dumps(asdict(replace(champion, challenger=canary))))
    with writer("test", home):
        pass

    waiting = tick(canary_to_move, instance)
    with writer("test", home) as con:
        con.execute(
            f"insert into serving.scoring_failures by name select '{NAME}' as model_name, '{LENDER}' as source, "
            "4 as model_version, 'challenger' as role, timestamp '2024-06-02' as ingested_at from range(400)"
        )
        con.execute(
            f"insert into serving.predictions by name select '{NAME}' as model_name, '{LENDER}' as source, 3 as "
            "model_version, 'champion' as role, 'online' as route, 0.1 as probability, 0.2 as latency_ms, "
            "timestamp '2024-06-02' as ingested_at from range(400)"
        )
    (first,), _ = tick(canary_to_move, instance)
    run = dg.DagsterRun(
        job_name="move_canary",
        run_id="r-1",
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": LENDER},
    )
    instance.add_run(run)
    on_its_way = tick(canary_to_move, instance)
    instance.report_run_failed(run)
    failed = tick(canary_to_move, instance)
    monkeypatch.setattr("orchestration.lib.retries.RETRY_SECONDS", 0)
    (again,), _ = tick(canary_to_move, instance)

    assert waiting[0] == []
    assert "answering 10 % of the applicants, as a canary: too few requests: 0 to the champion" in waiting[1]
    assert first.tags["loanlake/reason"].startswith("worse than it may be: errors +1.000")
    assert (on_its_way[0], failed[0]) == ([], [])
    assert on_its_way[1].endswith("; a run is on its way")
    assert "; the last run failed, the next is tried in " in failed[1]
    assert first.run_key is None, "Dagster takes each key once, whatever became of its run"
    assert again.tags == first.tags


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


def drift(measured: Callable[..., None], champion: Deployment, *, is_true: bool) -> None:
    figures = {"psi": 0.3 if is_true else 0.01, "psi_limit": 0.2}
    measured("monitoring.score_drift", champion, month=JUNE, is_drifted=is_true, **figures)


def decay(measured: Callable[..., None], champion: Deployment, *, is_true: bool) -> None:
    figures = {"n_mature": 1_000, "n_defaults": 100, "default_rate": 0.1, "mean_probability": 0.1}
    figures |= {"auc": 0.55 if is_true else 0.7, "auc_limit": 0.66, "default_rate_limit": 0.15}
    measured("monitoring.model_performance", champion, month=JUNE, is_decayed=is_true, **figures)


@pytest.mark.parametrize(("sensor", "cause"), [(drift_found, drift), (performance_decayed, decay)])
def test_what_monitoring_found_starts_a_training_with_one_key(
    home: Settings,
    instance: dg.DagsterInstance,
    in_service: Callable[..., Deployment],
    measured: Callable[..., None],
    sensor: dg.SensorDefinition,
    cause: Callable[..., None],
) -> None:
    """The key is what keeps Dagster from starting a second run for the same month."""
    cause(measured, in_service(), is_true=True)

    first, second = tick(sensor, instance)[0], tick(sensor, instance)[0]

    assert [request.run_key for request in first] == [request.run_key for request in second]
    refresh = {"feature_version": "v1", "exclude": ["zip"], "family": "logistic", "refreshed_version": 1}
    assert first[0].partition_key == "lending_club"
    assert str(first[0].run_key).startswith("lending_club-")
    assert first[0].run_config == {"resources": {"run_settings": {"config": refresh}}}


@pytest.mark.parametrize(("sensor", "cause"), [(drift_found, drift), (performance_decayed, decay)])
def test_good_figures_start_no_training(
    home: Settings,
    instance: dg.DagsterInstance,
    in_service: Callable[..., Deployment],
    measured: Callable[..., None],
    sensor: dg.SensorDefinition,
    cause: Callable[..., None],
) -> None:
    cause(measured, in_service(), is_true=False)

    assert tick(sensor, instance) == ([], "no reason to train among 1 models")


@pytest.mark.parametrize(("n_rows", "n_requests"), [(10_100, 0), (10_600, 1)])
def test_labels_that_have_matured_start_a_training_when_they_are_many(
    home: Settings, instance: dg.DagsterInstance, in_service: Callable[..., Deployment], n_rows: int, n_requests: int
) -> None:
    in_service(n_trained=10_000)
    with writer("test", home) as con:
        con.execute(f"create table training.trn_default as select 'lending_club' as source from range({n_rows})")

    assert len(tick(labels_matured, instance)[0]) == n_requests


@pytest.mark.parametrize("sensor", [drift_found, performance_decayed, labels_matured])
def test_nothing_in_service_starts_no_training(
    home: Settings, instance: dg.DagsterInstance, sensor: dg.SensorDefinition
) -> None:
    assert tick(sensor, instance) == ([], "no model in service")


@pytest.mark.parametrize("sensor", [drift_found, performance_decayed, labels_matured])
def test_a_lake_that_cannot_be_read_starts_no_training_and_says_so(
    home: Settings, instance: dg.DagsterInstance, in_service: Callable[..., Deployment], sensor: dg.SensorDefinition
) -> None:
    in_service()
    home.lake_catalog.parent.mkdir(parents=True)
    home.lake_catalog.write_bytes(b"not a database, but long enough to be looked at" * 100)

    requests, said = tick(sensor, instance)

    assert requests == []
    assert said.startswith("what was measured of lending_club cannot be read: the lake's catalog cannot be opened: ")


def test_a_lender_whose_figures_cannot_be_read_keeps_no_other_from_training(
    home: Settings, instance: dg.DagsterInstance, in_service: Callable[..., Deployment], measured: Callable[..., None]
) -> None:
    drift(measured, in_service(), is_true=True)
    drift(measured, in_service(source="uci_credit_card"), is_true=True)
    home.deployment("lending_club").write_text("{\n")

    requests, _ = tick(drift_found, instance)

    assert [request.partition_key for request in requests] == ["uci_credit_card"]


def test_an_approval_starts_a_run_until_what_it_approved_is_served(
    home: Settings, in_service: Callable[..., Deployment], instance: dg.DagsterInstance
) -> None:
    in_service(3)
    nothing = tick(version_approved, instance)
    approve_once(home, of_lender(version=4), reason="minutes", by="key 1")

    (request,), _ = tick(version_approved, instance)
    of_request(instance, "publish_approved", request)
    on_its_way = tick(version_approved, instance)
    in_service(4)
    served = tick(version_approved, instance)

    assert nothing == served == ([], "no approval waits to be followed")
    assert on_its_way == ([], "default_risk_lending_club version 4 is approved; a run is on its way")
    assert request.tags["loanlake/reason"] == "approved by key 1"


def test_each_lenders_approval_starts_a_run_of_its_own(home: Settings, instance: dg.DagsterInstance) -> None:
    """A damaged file of one lender must not keep another's approval from being followed."""
    approve_once(home, of_lender(version=4), reason="minutes", by="key 1")
    approve_once(
        home,
        registered_version(source="uci_credit_card", name="default_risk_uci_credit_card", version=2),
        reason="minutes",
        by="key 1",
    )
    home.approvals("damaged").parent.mkdir()
    home.approvals("damaged").write_text("{\n")

    found, _ = tick(version_approved, instance)

    assert [request.partition_key for request in found] == ["lending_club", "uci_credit_card"]
    assert [request.tags["dagster/partition"] for request in found] == ["lending_club", "uci_credit_card"]


def test_an_approval_that_could_not_be_followed_is_tried_three_times(
    home: Settings,
    in_service: Callable[..., Deployment],
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A busy lake used it up, and the version never came into service; a broken one must not be tried for ever."""
    in_service(3)
    approve_once(home, of_lender(version=4), reason="minutes", by="key 1")
    said = []
    for _ in range(3):
        (request,), _ = tick(version_approved, instance)
        instance.report_run_failed(of_request(instance, "publish_approved", request))
        said.append(tick(version_approved, instance)[1])
        monkeypatch.setattr("orchestration.lib.retries.RETRY_SECONDS", 0)
    approve_once(home, of_lender(version=5), reason="minutes", by="key 1")

    assert said[0].startswith(
        "default_risk_lending_club version 4 is approved; the last run failed, the next is tried in "
    )
    assert said[2].startswith("default_risk_lending_club version 4 could not be served 3 times: its runs say why; ")
    assert len(tick(version_approved, instance)[0]) == 1, "the next approval is followed"


def test_approvals_that_cannot_be_read_start_no_run(home: Settings, instance: dg.DagsterInstance) -> None:
    home.approvals("simulated").parent.mkdir(parents=True)
    home.approvals("simulated").write_text("{\n")

    requests, said = tick(version_approved, instance)

    assert requests == []
    assert said.startswith("approvals of simulated cannot be read: ")


def test_batches_that_wait_start_a_run_each_two_at_a_time(home: Settings, instance: dg.DagsterInstance) -> None:
    states = BatchStates(home)
    assert tick(batches_to_score, instance) == ([], "no batch waits")
    for batch_id in ("b-1", "b-2", "b-3"):
        states.add(batch_id, BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)

    requests, _ = tick(batches_to_score, instance)

    assert [request.run_key for request in requests] == ["b-1/1", "b-2/1"]
    assert requests[0].partition_key == "simulated"
    assert requests[0].run_config == {"ops": {"serving__batch_scores": {"config": {"batch_id": "b-1"}}}}
    assert requests[0].tags[BATCH_TAG] == "b-1/1"


def test_a_batch_of_a_lender_that_dagster_does_not_know_fails_and_keeps_no_other_waiting(
    home: Settings, instance: dg.DagsterInstance
) -> None:
    states = BatchStates(home)
    for batch_id, source in (("b-1", "old_bank"), ("b-2", "simulated")):
        states.add(batch_id, BatchRequest(source=source, n_rows=1), caller_id="caller", body_sha256="0" * 64)

    requests, _ = tick(batches_to_score, instance)

    assert [request.run_key for request in requests] == ["b-2/1"]
    failed = states.find("b-1")
    assert failed is not None
    assert (failed.state, str(failed.reason)[:33]) == ("failed", "Dagster has no lender 'old_bank':")


def test_a_batch_whose_run_never_began_waits_for_the_next(home: Settings, instance: dg.DagsterInstance) -> None:
    """A loaded machine could not start the run in time: that is not the batch's fault."""
    states = BatchStates(home)
    states.add("b-1", BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)
    run = instance.create_run_for_job(
        dg.JobDefinition(name="score_batch", graph_def=nothing), tags={BATCH_TAG: "b-1/1"}
    )
    assert tick(batches_to_score, instance)[0] == []

    instance.report_run_failed(run)
    tick(batches_to_score, instance)

    waiting = states.find("b-1")
    assert waiting is not None
    assert (waiting.state, waiting.attempt, waiting.n_postponed) == ("queued", 2, 1)
    assert run.run_id in str(waiting.reason)
    assert tick(batches_to_score, instance) == ([], "1 postponed batches wait for their time")
    with closing(sqlite3.connect(home.batch_states)) as con, con:
        con.execute("update batches set not_before = '2020-01-01T00:00:00'")
    assert [request.run_key for request in tick(batches_to_score, instance)[0]] == ["b-1/2"]


def test_a_batch_whose_run_was_cancelled_before_it_began_fails(home: Settings, instance: dg.DagsterInstance) -> None:
    states = BatchStates(home)
    states.add("b-1", BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)
    run = instance.create_run_for_job(
        dg.JobDefinition(name="score_batch", graph_def=nothing), tags={BATCH_TAG: "b-1/1"}
    )

    instance.report_run_canceled(run)
    tick(batches_to_score, instance)

    failed = states.find("b-1")
    assert failed is not None
    assert failed.state == "failed"
    assert "was cancelled in Dagster before it began to score; the batch can be tried again" in str(failed.reason)


def test_a_batch_whose_process_is_gone_fails(home: Settings, instance: dg.DagsterInstance) -> None:
    states = BatchStates(home)
    states.add("b-1", BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)
    states.claim("b-1", "run-1")

    with BatchFiles(home, "b-1").turn():
        tick(batches_to_score, instance)
        assert [batch.batch_id for batch in states.running()] == ["b-1"]
    tick(batches_to_score, instance)

    ended = states.find("b-1")
    assert ended is not None
    assert ended.state == "failed"


def test_runs_that_were_killed_with_all_of_dagster_take_no_place(home: Settings, instance: dg.DagsterInstance) -> None:
    """They stand as started: two of them stopped all batches until somebody ended them by hand."""
    states = BatchStates(home)
    for batch_id in ("b-1", "b-2"):
        states.add(batch_id, BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)
        states.claim(batch_id, f"run of {batch_id}")
        run = dg.DagsterRun(
            job_name="score_batch", status=dg.DagsterRunStatus.STARTED, tags={BATCH_TAG: f"{batch_id}/1"}
        )
        instance.add_run(run)
    states.add("b-3", BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)

    requests, _ = tick(batches_to_score, instance)

    assert [request.run_key for request in requests] == ["b-3/1"]
    assert {batch.state for batch_id in ("b-1", "b-2") if (batch := states.find(batch_id))} == {"failed"}


def test_batches_that_are_scored_or_have_a_run_take_a_place(home: Settings, instance: dg.DagsterInstance) -> None:
    states = BatchStates(home)
    for batch_id in ("b-1", "b-2", "b-3"):
        states.add(batch_id, BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)
    states.claim("b-1", "run-1")
    instance.create_run_for_job(dg.JobDefinition(name="score_batch", graph_def=nothing), tags={BATCH_TAG: "b-2/1"})

    with BatchFiles(home, "b-1").turn():
        requests, said = tick(batches_to_score, instance)

    assert (requests, said) == ([], "2 batches wait; 2 are being scored, 2 at a time")


def test_a_new_alert_starts_a_sending_once_a_route_is_declared(
    home: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(home, alert())

    assert tick(alerts_to_send, instance) == ([], "no route of alerts is declared: docs/alerts.md")
    home.alert_routes.write_text("routes: {hook: {url: {environment: HOOK_URL}}}")
    assert "HOOK_URL must hold an address" in tick(alerts_to_send, instance)[1]
    monkeypatch.setenv("HOOK_URL", "json://127.0.0.1:1/")
    assert len(tick(alerts_to_send, instance)[0]) == 1
    show(home, alert(state="acknowledged"))
    assert tick(alerts_to_send, instance) == ([], "no notification is due")


def test_an_alert_that_began_without_a_run_is_shown_on_the_pages(home: Settings, instance: dg.DagsterInstance) -> None:
    """A file is late from a day on, and no run starts because none arrived."""
    show(home, alert())
    publish_figures(home)
    show(home, alert(), alert("late", kind="late_source", cause="files"))

    tick(alerts_to_send, instance)

    prepared = read_prepared(home)
    assert prepared is not None
    assert {each.alert_id for each in prepared.alerts} == {"0123456789", "late"}


def test_a_run_that_measures_is_not_overtaken_by_a_sending(
    home: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Halfway, the alerts of the replaced version would be reported as resolved, and then as new of the next."""
    show(home, alert())
    home.alert_routes.write_text("routes: {hook: {url: {environment: HOOK_URL}}}")
    monkeypatch.setenv("HOOK_URL", "json://127.0.0.1:1/")
    run = dg.DagsterRun(job_name="retrain", run_id="r-1", status=dg.DagsterRunStatus.STARTED)
    instance.add_run(run)

    meanwhile = tick(alerts_to_send, instance)
    with monkeypatch.context() as later:
        later.setattr("orchestration.defs.monitoring.sensors._LONGEST_WAIT", timedelta(0))
        stuck, _ = tick(alerts_to_send, instance)
    instance.report_run_failed(run)
    failed, _ = tick(alerts_to_send, instance)

    assert meanwhile == ([], "1 notifications are due; a run of retrain is under way, and sends at its end")
    assert (len(stuck), len(failed)) == (1, 1)
