"""The SQLite file of batches, one row each, and the state transitions of a batch.

::

    queued ──► running ──► succeeded
     │  ▲        │ │ ├───► failed ────► queued (retry)
     │  └────────┘ │ │
     │  postponed  │ │
     └─────────────┴─┴───► cancelled ─► queued (retry)

A failed or cancelled batch publishes nothing. One with results is postponed instead: the log may have its decisions.

Every arrow is one statement that names its start state, so only one of two concurrent transitions succeeds. Each return
to the queue increments the attempt number, so an earlier attempt's run can no longer report.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from warehouse.batches.batch import Batch, BatchRequest, State
from warehouse.batches.database import Connection, database
from warehouse.batches.files import BatchFiles
from warehouse.errors import BatchStateError, NotFoundError
from warehouse.files.drafts import remove_abandoned
from warehouse.settings import Settings

_COLUMNS = ", ".join(Batch.__struct_fields__)
_ENDED_BEFORE = "state in ('succeeded', 'failed', 'cancelled') and ended_at < ?"
_ABANDONED = "the run that scored it ended before it was done; it can be tried again"
_UNPUBLISHED = "its results are written, and the run that published them ended before it was done"
#: A postponed batch waits this long; each further time in a row doubles the wait, up to the longest.
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=15), timedelta(minutes=10)


class BatchStates:
    """The batches of one home, and their state transitions. Any thread of any process may call."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._database = database(settings)

    def find(self, batch_id: str) -> Batch | None:
        """The batch of this id."""
        return next(iter(self._select("batch_id = ?", batch_id)), None)

    def find_by_key(self, key_id: str) -> Batch | None:
        """The batch with this key."""
        return next(iter(self._select("key_id = ?", key_id)), None)

    def newest(
        self,
        n: int,
        *,
        caller_id: str | None = None,
        sources: Collection[str] | None = None,
        state: State | None = None,
        before: str | None = None,
    ) -> list[Batch]:
        """Batches, newest first, of one caller or all, of these sources or all, in one state or any.

        ``before``: only older than that id.
        """
        wanted = {"caller_id = ?": caller_id, "state = ?": state, "batch_id < ?": before}
        conditions = {condition: value for condition, value in wanted.items() if value is not None}
        of_sources = "true"
        if sources is not None:
            source = self._database.of_request("source")
            of_sources = f"{source} in ({', '.join('?' * len(sources))})" if sources else "false"
        # ids sort by creation time
        return self._select(
            f"{' and '.join([*conditions, of_sources])} order by batch_id desc limit ?",
            *(*conditions.values(), *sorted(sources or ()), n),
        )

    def queued(self) -> list[Batch]:
        """Batches that wait for a run, longest wait first."""
        return self._select("state = 'queued' order by queued_at, batch_id")

    def running(self) -> list[Batch]:
        """Batches that a run has claimed."""
        return self._select("state = 'running' order by queued_at, batch_id")

    def count(self, state: State = "queued", *, caller_id: str | None = None) -> int:
        """Number of batches in a state, of one caller or all."""
        if not self._database.exists():
            return 0
        of_caller, parameters = ("", (state,)) if caller_id is None else (" and caller_id = ?", (state, caller_id))
        with self._database.connection() as con:
            ((n_batches,),) = con.execute(
                f"select count(*) from batches where state = ?{of_caller}", parameters
            ).fetchall()
        return int(n_batches)

    def add(
        self, batch_id: str, request: BatchRequest, *, caller_id: str, body_sha256: str, key_id: str | None = None
    ) -> Batch:
        """Accept a batch: durable on return. If its key already has a batch, that one is returned."""
        now = _now()
        with self._database.transaction() as con:
            con.execute(
                "insert into batches "
                "(batch_id, caller_id, request, body_sha256, state, created_at, queued_at, n_rows, lake_snapshot, "
                "key_id) values (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?) on conflict do nothing",
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
            return (key_id and _one(con, "key_id", key_id)) or _required(con, batch_id)

    def claim(self, batch_id: str, run_id: str) -> Batch | None:
        """Claim a queued batch for a run that holds its lock; None if it is not queued."""
        with self._database.transaction() as con:
            changed = con.execute(
                "update batches set state = 'running', run_id = ?, started_at = ?, ended_at = null, reason = null, "
                "not_before = null, n_done = 0, n_scored = 0, n_refused = 0 where batch_id = ? and state = 'queued'",
                (run_id, _now(), batch_id),
            ).rowcount
            return _required(con, batch_id) if changed else None

    def note(self, batch: Batch, **columns: Any) -> bool:
        """Store this attempt's progress (columns of the file); False if the run must stop."""
        names = ", ".join(f"{name} = ?" for name in columns) or "attempt = attempt"
        with self._database.transaction() as con:
            changed = con.execute(
                f"update batches set {names} where batch_id = ? and state = 'running' and attempt = ?",
                (*columns.values(), batch.batch_id, batch.attempt),
            ).rowcount
            return bool(changed) and not _required(con, batch.batch_id).is_cancelling

    def finish(self, batch: Batch, state: State, *, reason: str | None = None) -> Batch:
        """End the attempt, unless it has already ended."""
        with self._database.transaction() as con:
            con.execute(
                "update batches set state = ?, reason = ?, ended_at = ?, is_cancelling = 0 "
                "where batch_id = ? and attempt = ? and state in ('queued', 'running')",
                (state, reason, _now(), batch.batch_id, batch.attempt),
            )
            return _required(con, batch.batch_id)

    def postpone(self, batch: Batch, reason: str) -> Batch:
        """Return an attempt to the queue for later, unless it has already ended."""
        wait = min(_FIRST_WAIT * 2 ** min(batch.n_postponed, 20), _LONGEST_WAIT)
        with self._database.transaction() as con:
            con.execute(
                "update batches set state = 'queued', attempt = attempt + 1, reason = ?, not_before = ?, "
                "n_postponed = n_postponed + 1, started_at = null, run_id = null, is_cancelling = 0 "
                "where batch_id = ? and attempt = ? and state in ('queued', 'running')",
                (reason, (datetime.fromisoformat(_now()) + wait).isoformat(), batch.batch_id, batch.attempt),
            )
            return _required(con, batch.batch_id)

    def stop(self, batch: Batch, reason: str, *, advice: str = "") -> Batch:
        """End an attempt that cannot continue: postponed if its results are written, else failed, with ``advice``."""
        files = BatchFiles(self._settings, batch.batch_id)
        files.fetch()
        if files.results.exists():
            return self.postpone(batch, reason)
        return self.finish(batch, "failed", reason=reason + advice)

    def cancel(self, batch_id: str) -> Batch:
        """Cancel a waiting batch immediately, or notify its run; idempotent.

        Raises BatchStateError if it has ended otherwise or has its results, NotFoundError if it does not exist.
        """
        files = BatchFiles(self._settings, batch_id)
        files.fetch()
        with self._database.transaction() as con:
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
        """Return a failed or cancelled batch to the queue; else raises BatchStateError or NotFoundError."""
        with self._database.transaction() as con:
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
        """End batches whose run is gone: cancelled, failed, or postponed if results may already be in the log."""
        ended = []
        for batch in self.running():
            files = BatchFiles(self._settings, batch.batch_id)
            if files.is_worked_on():
                continue
            files.fetch()
            remove_abandoned(files.directory)
            if files.results.exists():
                ended.append(self.postpone(batch, _UNPUBLISHED))
            elif batch.is_cancelling:
                ended.append(self.finish(batch, "cancelled"))
            else:
                ended.append(self.finish(batch, "failed", reason=_ABANDONED))
        return ended

    def remove_ended_before(self, moment: datetime) -> int:
        """Delete batches that ended before ``moment`` (naive UTC), with their files; returns their number."""
        n_removed = 0
        for batch in self._select(_ENDED_BEFORE, moment.isoformat()):
            with self._database.transaction() as con:  # unless the caller has retried it
                is_gone = con.execute(
                    f"delete from batches where {_ENDED_BEFORE} and batch_id = ?", (moment.isoformat(), batch.batch_id)
                ).rowcount
            if is_gone:  # :func:`remove_unknown` deletes the files of a killed process
                BatchFiles(self._settings, batch.batch_id).remove()
            n_removed += is_gone
        return n_removed

    def _select(self, where: str, *parameters: object) -> list[Batch]:
        if not self._database.exists():
            return []
        with self._database.connection() as con:
            return [_batch(row) for row in con.execute(f"select {_COLUMNS} from batches where {where}", parameters)]


def _one(con: Connection, column: str, value: str) -> Batch | None:
    row = con.execute(f"select {_COLUMNS} from batches where {column} = ?", (value,)).fetchone()
    return _batch(row) if row else None


def _required(con: Connection, batch_id: str) -> Batch:
    found = _one(con, "batch_id", batch_id)
    if found is None:
        raise NotFoundError(f"no batch {batch_id!r}")
    return found


def _batch(row: tuple[Any, ...]) -> Batch:
    values = dict(zip(Batch.__struct_fields__, row, strict=True))
    values["request"] = msgspec.json.decode(values["request"])
    return msgspec.convert(values, Batch, strict=False)


def _is(state: State) -> str:
    return f"has {state}" if state in ("succeeded", "failed") else f"is {state}"


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat()
