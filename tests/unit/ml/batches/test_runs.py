"""Runs of batches: what they say on their way, and what they leave however they end."""

from typing import Any

import pytest

from ml.batches.runs import run_batch
from tests.model_factory import fill_lake, publish_model
from warehouse.batches import Batch, BatchFiles, BatchRequest, BatchStates
from warehouse.lake.connection import connect
from warehouse.settings import Settings

TABLE = "features.ftr_application_v1"


@pytest.fixture
def states(home: Settings, monkeypatch: pytest.MonkeyPatch) -> BatchStates:
    """A batch of 1,000 rows waits, scored 64 at a time."""
    monkeypatch.setattr("ml.batches.tables.BATCH_ROWS", 64)
    fill_lake(home, 1000)
    publish_model(home)
    states = BatchStates(home)
    states.add("b-1", BatchRequest(source="simulated", table=TABLE), caller_id="caller", body_sha256="0" * 64)
    return states


def _files(home: Settings) -> list[str]:
    return sorted(path.name for path in BatchFiles(home, "b-1").directory.iterdir())


def _now(states: BatchStates) -> Batch:
    found = states.find("b-1")
    assert found is not None
    return found


def test_a_run_says_what_it_scores_and_each_tenth_of_its_way(home: Settings, states: BatchStates) -> None:
    said: list[str] = []

    run_batch(home, "b-1", run_id="run-1", say=said.append)

    first, *tenths, last = said
    assert first == f"batch b-1: 1,000 rows of {TABLE}, scored by default_risk_simulated version 1"
    assert (tenths[0], tenths[-1]) == ("128 of 1,000 rows scored (13%)", "1,000 of 1,000 rows scored (100%)")
    assert len(tenths) == 10
    assert last.startswith("results are written; publishing them")


def test_a_slow_run_says_more_often(home: Settings, states: BatchStates, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten tenths of an hour's run are one word in six minutes: whoever opens it would think that it hangs."""
    monkeypatch.setattr("ml.batches.runs._SECONDS_BETWEEN_WORDS", 0.0)
    said: list[str] = []

    run_batch(home, "b-1", run_id="run-1", say=said.append)

    assert "64 of 1,000 rows scored (6%)" in said


class _Terminated(BaseException):
    """As Dagster raises where a run is terminated."""


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (_Terminated(), "run run-1 was terminated in Dagster; the batch can be tried again"),
        (MemoryError(), "stopped by MemoryError, see run run-1 in Dagster"),
    ],
)
def test_a_run_that_is_stopped_leaves_no_files_and_can_be_tried_again(
    home: Settings, states: BatchStates, raised: BaseException, reason: str
) -> None:
    def stop(word: str) -> Any:
        if "50%" in word or "51%" in word:
            assert any(name.startswith(".results.parquet.") for name in _files(home))
            raise raised

    with pytest.raises(type(raised)):
        run_batch(home, "b-1", run_id="run-1", say=stop)

    stopped = _now(states)
    assert (stopped.state, stopped.reason) == ("failed", reason)
    assert _files(home) == ["turn.lock"]
    states.retry("b-1")
    done = run_batch(home, "b-1", run_id="run-2")
    assert done is not None
    assert (done.state, done.n_scored, done.attempt) == ("succeeded", 1000, 2)
    with connect(home) as con:
        found = con.execute("select count(*), count(distinct row_number) from serving.batch_scores").fetchone()
    assert found == (1000, 1000)
