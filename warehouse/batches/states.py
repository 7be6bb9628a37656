"""What was asked for, and how far each batch has come: one row a batch in one SQLite file.

::

    queued ──► running ──► succeeded
     │  ▲        │ │ ├───► failed ────► queued (retry)
     │  └────────┘ │ │
     │  postponed  │ │
     └─────────────┴─┴───► cancelled ─► queued (retry)

Of a batch that failed or was cancelled nothing is published. One that has its results only waits to publish them: it is
postponed until it succeeds, since some of its decisions may be in the log already.

Every arrow is one statement that names the state it starts from: of two that want to go different ways one finds it
gone. An attempt is counted at each way into the queue, so that a run of an earlier one can no longer report anything.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast, get_args

import msgspec

from warehouse.batches.batch import Batch, BatchRequest, State
from warehouse.batches.files import BatchFiles
from warehouse.errors import BatchStateError, NotFoundError
from warehouse.files.drafts import remove_abandoned
from warehouse.settings import Settings

ENDED = ("succeeded", "failed", "cancelled")
_BUSY_SECONDS = 20.0
_ABANDONED = "the run that scored it ended before it was done; it can be tried again"
_UNPUBLISHED = "its results are written, and the run that published them ended before it was done"
#: A batch that is put back waits this long, each time in a row twice as long, up to the longest.
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=15), timedelta(minutes=10)
_SCHEMA = """
create table if not exists batches (
    batch_id text primary key,
    caller_id text not null,
    request text not null,
    body_sha256 text not null,
    state text not null,
    attempt integer not null default 1,
    is_cancelling integer not null default 0,
    created_at text not null,
    queued_at text not null,
    started_at text,
    ended_at text,
    n_rows integer,
    n_done integer not null default 0,
    n_scored integer not null default 0,
    n_refused integer not null default 0,
    reason text,
    run_id text,
    model_name text,
    model_version integer,
    feature_version text,
    lake_snapshot integer,
    key_id text,
    n_postponed integer not null default 0,
    not_before text
) strict;
create index if not exists batches_by_state on batches (state, queued_at);
-- of two batches with one Idempotency-Key, in whatever processes, the second is not accepted
create unique index if not exists batches_by_key on batches (key_id) where key_id is not null;
"""


class BatchStates:
    """The batches of one home. Every call opens the file anew: any thread of any process may make it."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._path = settings.batch_states

    def add(
        self, batch_id: str, request: BatchRequest, *, caller_id: str, body_sha256: str, key_id: str | None = None
    ) -> Batch:
        """Accept a batch: once this returns it is durable. Where its key has one already, that is returned instead."""
        now = _now()
        with self._transaction() as con:
            con.execute(
                "insert or ignore into batches "
                "(batch_id, caller_id, request, body_sha256, state, created_at, queued_at, n_rows, lake_snapshot, "
                "key_id) values (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
                (
                    batch_id,
                    caller_id,
                    msgspec.json.encode(request).decode(),
                    body_sha256,
                    now,
                    now,
                    request.n_rows,
                    request.lake_snapshot,
                    key_id,
                ),
            )
            return (key_id and _of_key(con, key_id)) or _required(con, batch_id)

    def find(self, batch_id: str) -> Batch | None:
        """The batch of this id."""
        if not self._path.exists():
            return None
        with self._connection() as con:
            return _one(con, batch_id)

    def newest(
        self, n: int, *, caller_id: str | None = None, state: State | None = None, before: str | None = None
    ) -> list[Batch]:
        """The batches of one caller, or of all, in one state or any, newest first; ``before``: older than that id."""
        if not self._path.exists():
            return []
        with self._connection() as con:
            # ids sort by when they were made
            rows = con.execute(
                f"select {_COLUMNS} from batches where (?1 is null or caller_id = ?1) and (?2 is null or state = ?2) "
                "and (?3 is null or batch_id < ?3) order by batch_id desc limit ?4",
                (caller_id, state, before, n),
            )
            return [_batch(row) for row in rows]

    def find_by_key(self, key_id: str) -> Batch | None:
        """The batch that a key stands for."""
        if not self._path.exists():
            return None
        with self._connection() as con:
            return _of_key(con, key_id)

    def queued(self) -> list[Batch]:
        """Those that wait for a run, longest first."""
        return self._in_state("queued")

    def running(self) -> list[Batch]:
        """Those that a run has claimed."""
        return self._in_state("running")

    def count(self, state: State = "queued", *, caller_id: str | None = None) -> int:
        """How many are in a state, of one caller or of all; without a state, how many wait for a run."""
        if not self._path.exists():
            return 0
        with self._connection() as con:
            ((n_batches,),) = con.execute(
                "select count(*) from batches where state = ?1 and (?2 is null or caller_id = ?2)", (state, caller_id)
            ).fetchall()
        return int(n_batches)

    def claim(self, batch_id: str, run_id: str) -> Batch | None:
        """Take a queued batch for a run that holds its turn; None where it is not queued (any more)."""
        with self._transaction() as con:
            changed = con.execute(
                "update batches set state = 'running', run_id = ?, started_at = ?, ended_at = null, reason = null, "
                "not_before = null, n_done = 0, n_scored = 0, n_refused = 0 where batch_id = ? and state = 'queued'",
                (run_id, _now(), batch_id),
            ).rowcount
            return _required(con, batch_id) if changed else None

    def note(self, batch: Batch, **columns: Any) -> bool:
        """Keep how far the run of this attempt is (columns of the file); False once it is to stop."""
        names = ", ".join(f"{name} = ?" for name in columns) or "attempt = attempt"
        with self._transaction() as con:
            changed = con.execute(
                f"update batches set {names} where batch_id = ? and state = 'running' and attempt = ?",
                (*columns.values(), batch.batch_id, batch.attempt),
            ).rowcount
            return bool(changed) and not _required(con, batch.batch_id).is_cancelling

    def finish(self, batch: Batch, state: State, *, reason: str | None = None) -> Batch:
        """End the attempt; one that was ended otherwise stays so."""
        with self._transaction() as con:
            con.execute(
                "update batches set state = ?, reason = ?, ended_at = ?, is_cancelling = 0 "
                "where batch_id = ? and attempt = ? and state in ('queued', 'running')",
                (state, reason, _now(), batch.batch_id, batch.attempt),
            )
            return _required(con, batch.batch_id)

    def postpone(self, batch: Batch, reason: str) -> Batch:
        """Put an attempt back into the queue, for later; one that was ended otherwise stays so."""
        wait = min(_FIRST_WAIT * 2 ** min(batch.n_postponed, 20), _LONGEST_WAIT)
        with self._transaction() as con:
            con.execute(
                "update batches set state = 'queued', attempt = attempt + 1, reason = ?, not_before = ?, "
                "n_postponed = n_postponed + 1, started_at = null, run_id = null, is_cancelling = 0 "
                "where batch_id = ? and attempt = ? and state in ('queued', 'running')",
                (reason, (datetime.fromisoformat(_now()) + wait).isoformat(), batch.batch_id, batch.attempt),
            )
            return _required(con, batch.batch_id)

    def stop(self, batch: Batch, reason: str, *, advice: str = "") -> Batch:
        """End an attempt that cannot go on: postponed where its results are written, else failed, with ``advice``."""
        if BatchFiles(self._settings, batch.batch_id).results.exists():
            return self.postpone(batch, reason)
        return self.finish(batch, "failed", reason=reason + advice)

    def cancel(self, batch_id: str) -> Batch:
        """Cancel what waits, at once, or tell the run to stop; again changes nothing.

        Raises BatchStateError for one that has ended otherwise or has its results, NotFoundError for none.
        """
        files = BatchFiles(self._settings, batch_id)
        with self._transaction() as con:
            if files.results.exists() and _required(con, batch_id).state in ("queued", "running"):
                raise BatchStateError(
                    "this batch is scored, and only its results are still to be given out: it cannot be cancelled"
                )
            con.execute(
                "update batches set state = 'cancelled', ended_at = ? where batch_id = ? and state = 'queued'",
                (_now(), batch_id),
            )
            con.execute("update batches set is_cancelling = 1 where batch_id = ? and state = 'running'", (batch_id,))
            found = _required(con, batch_id)
        if found.state in ("succeeded", "failed"):
            raise BatchStateError(
                f"only a batch that is queued or running can be cancelled: this one {_is(found.state)}"
            )
        return found

    def retry(self, batch_id: str) -> Batch:
        """Put one that failed or was cancelled back into the queue.

        Raises BatchStateError for one that is neither, NotFoundError for none.
        """
        with self._transaction() as con:
            changed = con.execute(
                "update batches set state = 'queued', attempt = attempt + 1, queued_at = ?, started_at = null, "
                "ended_at = null, reason = null, run_id = null, is_cancelling = 0, n_done = 0, n_scored = 0, "
                "n_refused = 0, n_postponed = 0, not_before = null "
                "where batch_id = ? and state in ('failed', 'cancelled')",
                (_now(), batch_id),
            ).rowcount
            found = _required(con, batch_id)
        if not changed:
            raise BatchStateError(
                f"only a batch that failed or was cancelled can be tried again: this one {_is(found.state)}"
            )
        return found

    def end_abandoned(self) -> list[Batch]:
        """End batches whose run is gone: cancelled where that was asked for, else failed, to be tried again.

        One that has its results is postponed instead: some of its decisions may be in the log.
        """
        ended = []
        for batch in self.running():
            files = BatchFiles(self._settings, batch.batch_id)
            if files.is_worked_on():
                continue
            remove_abandoned(files.directory)
            if files.results.exists():
                ended.append(self.postpone(batch, _UNPUBLISHED))
            elif batch.is_cancelling:
                ended.append(self.finish(batch, "cancelled"))
            else:
                ended.append(self.finish(batch, "failed", reason=_ABANDONED))
        return ended

    def remove_ended_before(self, moment: datetime) -> int:
        """Forget batches that ended before ``moment`` (naive UTC), files included; how many."""
        if not self._path.exists():
            return 0
        with self._connection() as con:
            found = con.execute(
                f"select batch_id from batches where state in ({_marks(ENDED)}) and ended_at < ?",
                (*ENDED, moment.isoformat()),
            ).fetchall()
        return sum(self._remove_ended(batch_id, moment) for (batch_id,) in found)

    def _remove_ended(self, batch_id: str, moment: datetime) -> bool:
        """Unless its caller tried it again meanwhile; files that a kill leaves behind are those of no batch."""
        with self._transaction() as con:
            is_gone = con.execute(
                f"delete from batches where batch_id = ? and state in ({_marks(ENDED)}) and ended_at < ?",
                (batch_id, *ENDED, moment.isoformat()),
            ).rowcount
        if is_gone:
            BatchFiles(self._settings, batch_id).remove()
        return bool(is_gone)

    def _in_state(self, state: State) -> list[Batch]:
        if not self._path.exists():
            return []
        with self._connection() as con:
            rows = con.execute(f"select {_COLUMNS} from batches where state = ? order by queued_at, batch_id", (state,))
            return [_batch(row) for row in rows]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as con:
            con.execute("pragma journal_mode = wal")
            con.execute("pragma synchronous = full")
            if not con.execute("select 1 from sqlite_master where name = 'batches'").fetchone():
                con.executescript(f"begin immediate; {_SCHEMA} commit;")
                self._path.chmod(0o600)
            yield con

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as con:
            con.execute("begin immediate")
            try:
                yield con
                con.execute("commit")
            except BaseException:
                con.execute("rollback")
                raise


_COLUMNS = ", ".join(Batch.__struct_fields__)


def _is(state: State) -> str:
    return f"has {state}" if state in ("succeeded", "failed") else f"is {state}"


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" for _ in values)


def _one(con: sqlite3.Connection, batch_id: str) -> Batch | None:
    row = con.execute(f"select {_COLUMNS} from batches where batch_id = ?", (batch_id,)).fetchone()
    return _batch(row) if row else None


def _of_key(con: sqlite3.Connection, key_id: str) -> Batch | None:
    row = con.execute(f"select {_COLUMNS} from batches where key_id = ?", (key_id,)).fetchone()
    return _batch(row) if row else None


def _required(con: sqlite3.Connection, batch_id: str) -> Batch:
    found = _one(con, batch_id)
    if found is None:
        raise NotFoundError(f"no batch {batch_id!r}")
    return found


def _batch(row: tuple[Any, ...]) -> Batch:
    values = dict(zip(Batch.__struct_fields__, row, strict=True))
    values["request"] = msgspec.json.decode(values["request"], type=BatchRequest)
    values["is_cancelling"] = bool(values["is_cancelling"])
    for name in ("created_at", "started_at", "ended_at", "not_before"):
        values[name] = datetime.fromisoformat(values[name]) if values[name] else None
    if values["state"] not in get_args(State):
        raise BatchStateError(f"a batch's state must be one of {', '.join(get_args(State))}: found {values['state']!r}")
    values["state"] = cast(State, values["state"])
    return Batch(**values)


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat()
