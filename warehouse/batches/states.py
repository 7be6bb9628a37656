"""State transitions of a batch.

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

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from warehouse.batches.batch import Batch, BatchRequest, State
from warehouse.batches.files import BatchFiles
from warehouse.batches.stored import StoredBatches, of_key, required
from warehouse.errors import BatchStateError
from warehouse.files.drafts import remove_abandoned

ENDED = ("succeeded", "failed", "cancelled")
_ABANDONED = "the run that scored it ended before it was done; it can be tried again"
_UNPUBLISHED = "its results are written, and the run that published them ended before it was done"
#: A postponed batch waits this long; each further time in a row doubles the wait, up to the longest.
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=15), timedelta(minutes=10)


class BatchStates(StoredBatches):
    """The batches of one home, and their state transitions."""

    def add(
        self, batch_id: str, request: BatchRequest, *, caller_id: str, body_sha256: str, key_id: str | None = None
    ) -> Batch:
        """Accept a batch: durable on return. If its key already has a batch, that one is returned."""
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
            return (key_id and of_key(con, key_id)) or required(con, batch_id)

    def claim(self, batch_id: str, run_id: str) -> Batch | None:
        """Claim a queued batch for a run that holds its lock; None if it is not queued."""
        with self._transaction() as con:
            changed = con.execute(
                "update batches set state = 'running', run_id = ?, started_at = ?, ended_at = null, reason = null, "
                "not_before = null, n_done = 0, n_scored = 0, n_refused = 0 where batch_id = ? and state = 'queued'",
                (run_id, _now(), batch_id),
            ).rowcount
            return required(con, batch_id) if changed else None

    def note(self, batch: Batch, **columns: Any) -> bool:
        """Store this attempt's progress (columns of the file); False if the run must stop."""
        names = ", ".join(f"{name} = ?" for name in columns) or "attempt = attempt"
        with self._transaction() as con:
            changed = con.execute(
                f"update batches set {names} where batch_id = ? and state = 'running' and attempt = ?",
                (*columns.values(), batch.batch_id, batch.attempt),
            ).rowcount
            return bool(changed) and not required(con, batch.batch_id).is_cancelling

    def finish(self, batch: Batch, state: State, *, reason: str | None = None) -> Batch:
        """End the attempt, unless it has already ended."""
        with self._transaction() as con:
            con.execute(
                "update batches set state = ?, reason = ?, ended_at = ?, is_cancelling = 0 "
                "where batch_id = ? and attempt = ? and state in ('queued', 'running')",
                (state, reason, _now(), batch.batch_id, batch.attempt),
            )
            return required(con, batch.batch_id)

    def postpone(self, batch: Batch, reason: str) -> Batch:
        """Return an attempt to the queue for later, unless it has already ended."""
        wait = min(_FIRST_WAIT * 2 ** min(batch.n_postponed, 20), _LONGEST_WAIT)
        with self._transaction() as con:
            con.execute(
                "update batches set state = 'queued', attempt = attempt + 1, reason = ?, not_before = ?, "
                "n_postponed = n_postponed + 1, started_at = null, run_id = null, is_cancelling = 0 "
                "where batch_id = ? and attempt = ? and state in ('queued', 'running')",
                (reason, (datetime.fromisoformat(_now()) + wait).isoformat(), batch.batch_id, batch.attempt),
            )
            return required(con, batch.batch_id)

    def stop(self, batch: Batch, reason: str, *, advice: str = "") -> Batch:
        """End an attempt that cannot continue: postponed if its results are written, else failed, with ``advice``."""
        if BatchFiles(self._settings, batch.batch_id).results.exists():
            return self.postpone(batch, reason)
        return self.finish(batch, "failed", reason=reason + advice)

    def cancel(self, batch_id: str) -> Batch:
        """Cancel a waiting batch immediately, or notify its run; idempotent.

        Raises BatchStateError if it has ended otherwise or has its results, NotFoundError if it does not exist.
        """
        files = BatchFiles(self._settings, batch_id)
        with self._transaction() as con:
            if files.results.exists() and required(con, batch_id).state in ("queued", "running"):
                raise BatchStateError(
                    "this batch is scored, and only its results are still to be given out: it cannot be cancelled"
                )
            con.execute(
                "update batches set state = 'cancelled', ended_at = ? where batch_id = ? and state = 'queued'",
                (_now(), batch_id),
            )
            con.execute("update batches set is_cancelling = 1 where batch_id = ? and state = 'running'", (batch_id,))
            found = required(con, batch_id)
        if found.state in ("succeeded", "failed"):
            raise BatchStateError(
                f"only a batch that is queued or running can be cancelled: this one {_is(found.state)}"
            )
        return found

    def retry(self, batch_id: str) -> Batch:
        """Return a failed or cancelled batch to the queue; else raises BatchStateError or NotFoundError."""
        with self._transaction() as con:
            changed = con.execute(
                "update batches set state = 'queued', attempt = attempt + 1, queued_at = ?, started_at = null, "
                "ended_at = null, reason = null, run_id = null, is_cancelling = 0, n_done = 0, n_scored = 0, "
                "n_refused = 0, n_postponed = 0, not_before = null "
                "where batch_id = ? and state in ('failed', 'cancelled')",
                (_now(), batch_id),
            ).rowcount
            found = required(con, batch_id)
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
        if not self._path.exists():
            return 0
        with self._connection() as con:
            found = con.execute(
                f"select batch_id from batches where state in ({_marks(ENDED)}) and ended_at < ?",
                (*ENDED, moment.isoformat()),
            ).fetchall()
        return sum(self._remove_ended(batch_id, moment) for (batch_id,) in found)

    def _remove_ended(self, batch_id: str, moment: datetime) -> bool:
        """Delete unless the caller has retried it; :func:`remove_unknown` deletes the files of a killed process."""
        with self._transaction() as con:
            is_gone = con.execute(
                f"delete from batches where batch_id = ? and state in ({_marks(ENDED)}) and ended_at < ?",
                (batch_id, *ENDED, moment.isoformat()),
            ).rowcount
        if is_gone:
            BatchFiles(self._settings, batch_id).remove()
        return bool(is_gone)


def _is(state: State) -> str:
    return f"has {state}" if state in ("succeeded", "failed") else f"is {state}"


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" for _ in values)


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat()
