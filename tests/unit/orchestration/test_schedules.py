"""Whose runs the schedules start."""

from collections.abc import Callable

import dagster as dg
import pytest

from ml.registry.deployment import Deployment
from orchestration.defs.pipeline.schedules import daily_monitor, daily_refresh, monthly_drift_report, monthly_retrain
from warehouse.settings import Settings

ABOUT_A_LENDER = [daily_refresh, daily_monitor, monthly_drift_report, monthly_retrain]


def requests(schedule: dg.ScheduleDefinition) -> list[dg.RunRequest]:
    with dg.build_schedule_context() as context:
        return list(schedule.evaluate_tick(context).run_requests or [])


@pytest.mark.parametrize("schedule", ABOUT_A_LENDER, ids=lambda schedule: schedule.name)
def test_every_lender_with_a_model_has_a_run_of_its_own(
    schedule: dg.ScheduleDefinition, home: Settings, in_service: Callable[..., Deployment]
) -> None:
    """Only the lender served was measured, so that no sensor ever saw what became of the other's decisions."""
    in_service(source="union")
    in_service(source="bank")

    found = requests(schedule)

    sources = [request.run_config["resources"]["run_settings"]["config"]["source"] for request in found]
    assert sources == ["bank", "union"]
    assert [request.tags["loanlake/source"] for request in found] == sources
    assert len({request.run_key for request in found}) == 2, "of requests without a key Dagster takes the first alone"


def test_what_is_trained_by_schedule_refreshes_the_champion(
    home: Settings, in_service: Callable[..., Deployment]
) -> None:
    """Of the latest features it would wait for a person each month, and the champion would never be renewed."""
    in_service(source="bank", feature_version="v2")

    [request] = requests(monthly_retrain)

    assert request.run_config["resources"]["run_settings"]["config"] == {
        "source": "bank",
        "feature_version": "v2",
        "exclude": ["zip"],
        "family": "logistic",
    }


def test_a_lender_that_is_set_has_its_run_before_it_has_a_model(
    home: Settings, in_service: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_service(source="bank")
    monkeypatch.setenv("LOANLAKE_DEFAULT_LENDER", "union")

    assert [request.run_key for request in requests(daily_refresh)] == ["bank", "union"]


@pytest.mark.parametrize("schedule", ABOUT_A_LENDER, ids=lambda schedule: schedule.name)
def test_before_there_is_a_model_one_run_names_no_lender(schedule: dg.ScheduleDefinition, home: Settings) -> None:
    [request] = requests(schedule)

    assert request.run_config == {}
    assert "loanlake/source" not in request.tags
