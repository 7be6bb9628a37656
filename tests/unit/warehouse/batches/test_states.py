"""Batches' states: each change whole, one winner of two, and nothing that stays running once its run is gone."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests import team_servers
from warehouse.batches import Batch, BatchFiles, BatchRequest, BatchStates, SentRow
from warehouse.errors import BatchStateError, NotFoundError
from warehouse.settings import Settings

ROW = SentRow(row_number=1, application_id="app-1", request='{"application_id":"app-1"}')


@pytest.fixture(params=["in a file", "on a server"])
def home(home: Settings, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Every test once for one machine, and once for a team."""
    if request.param == "in a file":
        yield home
        return
    with team_servers.database() as catalog:
        monkeypatch.setenv("LOANLAKE_CATALOG", f"postgres:{catalog}")
        yield Settings.from_environment()


@pytest.fixture
def states(home: Settings) -> BatchStates:
    return BatchStates(home)


def add(states: BatchStates, batch_id: str = "b-1") -> Batch:
    return states.add(batch_id, BatchRequest(source="simulated", n_rows=2), caller_id="caller", body_sha256="0" * 64)


def test_what_was_accepted_is_found_again(states: BatchStates) -> None:
    assert states.find("b-1") is None
    assert states.count() == 0

    added = add(states)

    assert states.find("b-1") == added
    assert (added.state, added.attempt, added.n_rows) == ("queued", 1, 2)
    assert [batch.batch_id for batch in states.queued()] == ["b-1"]


def test_a_batch_of_the_same_id_stays_as_it_is(states: BatchStates) -> None:
    first = add(states)

    again = states.add(
        "b-1", BatchRequest(source="simulated", table="features.x"), caller_id="caller", body_sha256="1" * 64
    )

    assert again == first


def test_of_many_runs_one_claims_a_batch(states: BatchStates) -> None:
    add(states)

    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda run: states.claim("b-1", run), [f"run-{i}" for i in range(16)]))

    assert len([batch for batch in claimed if batch is not None]) == 1


def test_a_running_batch_hears_that_it_is_to_stop(states: BatchStates) -> None:
    add(states)
    batch = states.claim("b-1", "run-1")
    assert batch is not None
    assert states.note(batch, n_done=1)

    assert states.cancel("b-1").state == "running"

    assert not states.note(batch, n_done=2)
    assert states.finish(batch, "cancelled").state == "cancelled"


def test_a_run_of_an_earlier_attempt_reports_nothing(states: BatchStates) -> None:
    add(states)
    old = states.claim("b-1", "run-1")
    assert old is not None
    states.finish(old, "failed", reason="no room")
    states.retry("b-1")
    new = states.claim("b-1", "run-2")
    assert new is not None

    assert not states.note(old, n_done=1)
    assert states.finish(old, "succeeded").state == "running"
    assert states.finish(new, "succeeded").state == "succeeded"


@pytest.mark.parametrize(
    ("change", "allowed"), [("cancel", ("queued", "running", "cancelled")), ("retry", ("failed", "cancelled"))]
)
def test_only_some_states_can_be_left(states: BatchStates, change: str, allowed: tuple[str, ...]) -> None:
    for state in ("queued", "running", "succeeded", "failed", "cancelled"):
        add(states, state)
        if state == "cancelled":
            states.cancel(state)
        elif state != "queued":
            batch = states.claim(state, "run")
            assert batch is not None
            if state != "running":
                states.finish(batch, state)  # type: ignore[arg-type]
        if state in allowed:
            getattr(states, change)(state)
        else:
            with pytest.raises(BatchStateError, match=state):
                getattr(states, change)(state)
    with pytest.raises(NotFoundError):
        getattr(states, change)("unknown")


def test_a_batch_whose_run_was_killed_fails_and_can_be_tried_again(home: Settings, states: BatchStates) -> None:
    """``kill -9`` of the run: the lock goes with its process, and the next look ends the batch."""
    add(states)
    script = (
        "import os, sys\n"
        "from warehouse.batches import BatchFiles, BatchStates\n"
        "from warehouse.settings import Settings\n"
        "settings = Settings.from_environment()\n"
        "with BatchFiles(settings, 'b-1').turn():\n"
        "    BatchStates(settings).claim('b-1', 'run-1')\n"
        "    print('claimed', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"claimed\n"
        assert states.end_abandoned() == []
        run.kill()
        run.wait()

        (ended,) = states.end_abandoned()

    assert ended.state == "failed"
    assert "can be tried again" in str(ended.reason)
    assert states.retry("b-1").state == "queued"


def test_old_batches_go_with_their_files(home: Settings, states: BatchStates) -> None:
    add(states)
    files = BatchFiles(home, "b-1")
    files.write_rows([ROW])
    assert list(files.read_rows(10)) == [[ROW]]
    states.cancel("b-1")

    now = datetime.now(UTC).replace(tzinfo=None)
    assert states.remove_ended_before(now - timedelta(days=1)) == 0
    assert states.remove_ended_before(now + timedelta(days=1)) == 1

    assert states.find("b-1") is None
    assert not files.directory.exists()


def test_a_batch_that_has_its_results_is_never_cancelled(home: Settings, states: BatchStates) -> None:
    """Some of its decisions may be in the log: who was told otherwise would send its applicants a second time."""
    add(states)
    files = BatchFiles(home, "b-1")
    files.write_rows([ROW])
    assert states.claim("b-1", "run-1") is not None
    states.cancel("b-1")
    files.results.parent.mkdir(exist_ok=True)
    files.results.touch()
    with pytest.raises(BatchStateError, match="it cannot be cancelled"):
        states.cancel("b-1")  # its run is about to publish

    (put_back,) = states.end_abandoned()

    assert (put_back.state, put_back.attempt) == ("queued", 2)
    with pytest.raises(BatchStateError, match="this batch is scored, and only its results are still to be given out"):
        states.cancel("b-1")
    assert [batch.batch_id for batch in states.queued()] == ["b-1"]


def test_a_batch_that_is_tried_again_just_then_stays(
    home: Settings, states: BatchStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller was told that it would be scored."""
    batches = [add(states, name) for name in ("b-1", "b-2")]
    for batch in batches:
        states.finish(batch, "failed")
        BatchFiles(home, batch.batch_id).write_rows([ROW])
    remove = BatchFiles.remove

    def removed(files: BatchFiles) -> None:
        remove(files)
        states.retry("b-2" if files.directory.name == "b-1" else "b-1")

    monkeypatch.setattr(BatchFiles, "remove", removed)

    assert states.remove_ended_before(datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=1)) == 1
    (left,) = states.queued()
    assert BatchFiles(home, left.batch_id).directory.exists()


def test_what_belongs_to_a_batch_is_its_owners_alone(home: Settings, states: BatchStates) -> None:
    add(states)
    files = BatchFiles(home, "b-1")
    files.write_rows([ROW])

    kept = [files.directory, home.batches, *([] if home.catalog else [home.batch_states])]

    assert [path.stat().st_mode & 0o077 for path in kept] == [0] * len(kept)


def test_a_batch_that_is_put_back_waits_twice_as_long_each_time(states: BatchStates) -> None:
    """Up to ten minutes; a retry by its caller begins anew."""
    batch = add(states)
    waits = []
    for _ in range(8):
        before = datetime.now(UTC).replace(tzinfo=None)
        batch = states.postpone(batch, "the lake is busy")
        assert batch.not_before is not None
        waits.append(round((batch.not_before - before).total_seconds()))
        assert not batch.is_due(before)

    assert waits == [15, 30, 60, 120, 240, 480, 600, 600]
    assert (batch.state, batch.reason, batch.attempt) == ("queued", "the lake is busy", 9)
    states.finish(batch, "failed")
    again = states.retry("b-1")
    assert (again.n_postponed, again.not_before) == (0, None)
