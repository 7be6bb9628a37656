"""Whose runs the schedules start."""

from collections.abc import Callable

import dagster as dg
import pytest

from ml.registry.deployment import Deployment
from orchestration.defs.pipeline.schedules import (
    daily_monitor,
    daily_refresh,
    monthly_drift_report,
    monthly_retrain,
    nightly_backup,
)
from tests.lender_jobs import lender_jobs
from warehouse.lake.connection import writer
from warehouse.settings import Settings

OF_A_MODEL = [daily_monitor, monthly_drift_report, monthly_retrain]
Serve = Callable[..., Deployment]


def tick(schedule: dg.ScheduleDefinition) -> tuple[list[dg.RunRequest], str]:
    """The run requests of one tick, and why there is none."""
    with dg.build_schedule_context(repository_def=lender_jobs()) as context:
        data = schedule.evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message or ""


def lenders(schedule: dg.ScheduleDefinition) -> list[str | None]:
    return [request.partition_key for request in tick(schedule)[0]]


def load(home: Settings, *lenders: str) -> None:
    with writer("test", home) as con:
        for lender in lenders:
            con.execute("insert into raw.files (source, entity, file) values (?, 'loans', 'a.csv')", [lender])


@pytest.mark.parametrize("schedule", OF_A_MODEL, ids=lambda schedule: schedule.name)
def test_every_lender_with_a_model_has_a_run_of_its_own(
    schedule: dg.ScheduleDefinition, home: Settings, in_service: Serve
) -> None:
    """Only the lender served was measured, so that no sensor ever saw what became of the other's decisions."""
    in_service(source="uci_credit_card")
    in_service(source="lending_club")

    found, _ = tick(schedule)

    assert [request.partition_key for request in found] == ["lending_club", "uci_credit_card"]
    assert [request.tags["dagster/partition"] for request in found] == ["lending_club", "uci_credit_card"]
    assert len({request.run_key for request in found}) == 2, "of requests without a key Dagster takes the first alone"


def test_every_lender_with_loaded_files_is_refreshed_with_a_model_or_without(home: Settings, in_service: Serve) -> None:
    load(home, "simulated", "lending_club")
    in_service(source="lending_club")

    assert lenders(daily_refresh) == ["lending_club", "simulated"]
    assert lenders(daily_monitor) == ["lending_club"], "there is nothing to measure of the other"


def test_what_is_trained_by_schedule_refreshes_the_champion(home: Settings, in_service: Serve) -> None:
    """Of the latest features it would wait for a person each month, and the champion would never be renewed."""
    in_service(source="lending_club", feature_version="v2")

    [request], _ = tick(monthly_retrain)

    assert request.run_config["resources"]["run_settings"]["config"] == {
        "feature_version": "v2",
        "exclude": ["zip"],
        "family": "logistic",
        "refreshed_version": 1,
    }


def test_a_first_model_is_trained_by_schedule_only_of_the_lender_that_is_set(
    home: Settings, in_service: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that were only loaded must not become a model in service at night."""
    load(home, "simulated", "uci_credit_card")
    in_service(source="lending_club")
    before = lenders(monthly_retrain)
    monkeypatch.setenv("LOANLAKE_DEFAULT_LENDER", "simulated")

    assert (before, lenders(monthly_retrain)) == (["lending_club"], ["lending_club", "simulated"])


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        (daily_refresh, "no lender has loaded files"),
        (daily_monitor, "no model in service"),
        (monthly_drift_report, "no model in service"),
        (monthly_retrain, "no lender was trained before"),
        (nightly_backup, "LOANLAKE_BACKUP_TARGET names no place for backups"),
    ],
    ids=lambda found: getattr(found, "name", ""),
)
def test_a_home_without_data_has_no_run_and_no_failure(
    schedule: dg.ScheduleDefinition, why: str, home: Settings
) -> None:
    assert tick(schedule) == ([], why)


def test_a_home_with_a_target_is_backed_up(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOANLAKE_BACKUP_TARGET", "/mnt/backups")

    assert len(tick(nightly_backup)[0]) == 1


def test_a_lender_whose_run_cannot_be_asked_for_stops_no_other(home: Settings, in_service: Serve) -> None:
    """Neither one that was taken out of the dbt project, nor one whose deployment cannot be read."""
    for lender in ("lending_club", "old_bank", "uci_credit_card"):
        in_service(source=lender)
    home.deployment("lending_club").write_text("{\n")

    assert lenders(monthly_retrain) == ["uci_credit_card"]

    home.deployment("uci_credit_card").write_text("{\n")
    _, said = tick(monthly_retrain)
    assert "no run of lending_club: " in said
    assert "Dagster has no lender 'old_bank'" in said
