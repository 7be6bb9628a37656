"""Runs of batches that are killed at one step each: ``python -m tests.batch_kills`` with ``{step: batch_id}`` as input.

Each run is a forked child that ends without any clean-up, as ``kill -9`` ends it. Prints, for each step, the state that
it left, what the next look made of it and what stood where by then, and how the batch ended in the end.
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pandas as pd  # noqa: F401 - DuckDB imports it for the first bound parameter: once, and not in each child

from ml.batches import runs as batch_runs
from ml.batches.rows import batch_row_decision_id
from warehouse import decision_log
from warehouse.batches import Batch, BatchFiles, BatchStates
from warehouse.lake.connection import connect
from warehouse.settings import Settings


def _die(*_: object, **__: object) -> None:
    os._exit(137)


def _dies_after(target: object, name: str, *, where: Callable[..., bool] = lambda *_, **__: True) -> None:
    done = getattr(target, name)

    def until_done(*given: Any, **named: Any) -> Any:
        result = done(*given, **named)
        if where(*given, **named):
            _die()
        return result

    setattr(target, name, until_done)


#: Step → what makes a run die there.
STEPS: dict[str, Callable[[], None]] = {
    "claimed": lambda: _dies_after(BatchStates, "claim"),
    "a row scored": lambda: setattr(batch_runs._Run, "_scored", _die),
    "decisions written": lambda: _dies_after(BatchFiles, "put", where=lambda files, path: path == files.decisions),
    "results written": lambda: _dies_after(BatchFiles, "put", where=lambda files, path: path == files.results),
    "waiting for the lake": lambda: setattr(batch_runs, "writer", _die),
    "decisions logged": lambda: setattr(batch_runs, "put_into_lake", _die),
    "rows in the lake": lambda: _dies_after(batch_runs, "put_into_lake"),
    "about to end": lambda: setattr(BatchStates, "finish", _die),
    "ended": lambda: _dies_after(BatchStates, "finish"),
}


def kill(settings: Settings, step: str, batch_id: str) -> dict[str, Any]:
    """What became of the batch whose run was killed at this step."""
    states = BatchStates(settings)
    child = os.fork()
    if child == 0:
        STEPS[step]()
        batch_runs.run_batch(settings, batch_id, run_id="killed")
        os._exit(1)  # it was not killed
    if os.waitpid(child, 0)[1] >> 8 != 137:
        raise AssertionError(f"the run was not killed at {step!r}")
    killed = _found(states, batch_id).state
    child = os.fork()  # only a child opens the lake: a process that forks must not have threads
    if child == 0:
        _report(settings, states, batch_id, killed)
        os._exit(0)
    os.waitpid(child, 0)
    return dict(json.loads((settings.home / f"{batch_id}.json").read_text()))


def _report(settings: Settings, states: BatchStates, batch_id: str, killed: str) -> None:
    states.end_abandoned()
    then = _found(states, batch_id)
    logged, rows = _decided(settings, batch_id)
    if then.state == "failed":
        states.retry(batch_id)
    if then.state != "succeeded":
        batch_runs.run_batch(settings, batch_id, run_id="next")
    found = {"killed": killed, "then": then.state, "n_logged_by_then": logged, "n_rows_by_then": rows}
    n_decisions, n_rows = _decided(settings, batch_id)
    found |= {"at_last": _found(states, batch_id).state, "n_decisions": n_decisions, "n_rows": n_rows}
    (settings.home / f"{batch_id}.json").write_text(json.dumps(found))


def _found(states: BatchStates, batch_id: str) -> Batch:
    batch = states.find(batch_id)
    if batch is None:
        raise AssertionError(f"batch {batch_id} is gone")
    return batch


def _decided(settings: Settings, batch_id: str) -> tuple[int, int]:
    """Its decisions, once they are in the lake, and its rows of results there."""
    decision_log.ingest_into_lake(settings)
    ids = [batch_row_decision_id(batch_id, number) for number in (1, 2, 3)]
    with closing(connect(settings)) as con:
        ((n_decisions,),) = con.execute(
            "select count(*) from serving.predictions where list_contains($1, decision_id)", [ids]
        ).fetchall()
        ((n_rows,),) = con.execute(
            "select count(*) from serving.batch_scores where batch_id = $1", [batch_id]
        ).fetchall()
    return int(n_decisions), int(n_rows)


if __name__ == "__main__":
    home = Settings.from_environment()
    json.dump({step: kill(home, step, batch_id) for step, batch_id in json.load(sys.stdin).items()}, sys.stdout)
