"""A step that finds the lake busy is tried again by its own run, if nobody waits for an answer."""

import dagster as dg
import pytest

from orchestration.defs.serving.assets import online_decisions
from orchestration.lib.retries import other_runs_awaited
from warehouse.decision_log import Ingested
from warehouse.errors import LakeBusyError, OtherRunUnderWay
from warehouse.settings import Settings


@pytest.fixture
def busy_once(home: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An ingestion that finds the lake busy the first time; what each try came to."""
    tries: list[str] = []

    def ingest(_: Settings) -> Ingested:
        tries.append("done" if tries else "busy")
        if tries == ["busy"]:
            raise LakeBusyError("held by 'dbt build'")
        return Ingested(3, 0)

    monkeypatch.setattr("orchestration.defs.serving.assets.ingest_into_lake", ingest)
    monkeypatch.setattr("orchestration.lib.retries._FIRST_WAIT", 0)
    return tries


def test_a_run_that_a_sensor_started_waits_for_the_lake(busy_once: list[str]) -> None:
    done = dg.materialize([online_decisions], tags={"dagster/sensor_name": "decisions_to_ingest"})

    assert done.success
    assert busy_once == ["busy", "done"]


def test_a_run_that_a_person_started_says_who_holds_the_lake(busy_once: list[str]) -> None:
    with pytest.raises(LakeBusyError, match="held by 'dbt build'"):
        dg.materialize([online_decisions])

    assert busy_once == ["busy"]


def test_a_step_waits_for_what_another_lenders_run_has_yet_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a person's run: of two lenders trained at the same time, one failed for the other's unfinished checks."""
    monkeypatch.setattr("orchestration.lib.retries._FIRST_WAIT", 0)
    tries: list[int] = []

    @dg.asset
    def training_set(context: dg.AssetExecutionContext) -> None:
        with other_runs_awaited(context):
            tries.append(context.retry_number)
            if not context.retry_number:
                raise OtherRunUnderWay("the contract check has not been evaluated")

    assert dg.materialize([training_set]).success
    assert tries == [0, 1]
