"""The asset of batches: a materialisation for what was published, and for nothing else."""

import dagster as dg
import pytest

from orchestration.defs.batches.assets import batch_scores
from tests.model_factory import fill_lake, publish_model
from warehouse.batches import BatchRequest, BatchStates
from warehouse.settings import Settings


def _materialised(batch_id: str | None) -> dict[str, object] | None:
    """The metadata of the run's materialisation; None where it made none."""
    config = {"ops": {"serving__batch_scores": {"config": {"batch_id": batch_id}}}} if batch_id else None
    done = dg.materialize([batch_scores], run_config=config)
    assert done.success
    events = done.get_asset_materialization_events()
    return {name: value.value for name, value in events[0].materialization.metadata.items()} if events else None


@pytest.fixture
def states(home: Settings, monkeypatch: pytest.MonkeyPatch) -> BatchStates:
    monkeypatch.setenv("LOANLAKE_HOME", str(home.home))
    fill_lake(home, 50)
    publish_model(home)
    states = BatchStates(home)
    states.add(
        "b-1",
        BatchRequest(source="simulated", table="features.ftr_application_v1"),
        caller_id="caller",
        body_sha256="0" * 64,
    )
    return states


def test_a_batch_that_was_scored_is_a_materialisation(states: BatchStates) -> None:
    metadata = _materialised("b-1")

    assert metadata is not None
    assert metadata["summary"] == "50 rows scored, 0 refused"
    assert metadata["batch"] == "b-1"


def test_a_batch_that_was_cancelled_on_the_way_is_none(states: BatchStates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.batches.runs.load_registered", lambda *_: states.cancel("b-1"))

    assert _materialised("b-1") is None

    found = states.find("b-1")
    assert found is not None
    assert found.state == "cancelled"


def test_a_run_that_finds_nothing_to_do_is_none(states: BatchStates) -> None:
    states.cancel("b-1")

    assert _materialised("b-1") is None
    assert _materialised(None) is None
