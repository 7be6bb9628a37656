"""The SQLite file of batches, one row each. Every call opens it, so any thread of any process may call."""

import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any, cast, get_args

import msgspec

from warehouse.batches.batch import Batch, BatchRequest, State
from warehouse.errors import BatchStateError, NotFoundError
from warehouse.settings import Settings

_BUSY_SECONDS = 20.0
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
_COLUMNS = ", ".join(Batch.__struct_fields__)


class StoredBatches:
    """The batches of one home."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._path = settings.batch_states

    def find(self, batch_id: str) -> Batch | None:
        """The batch of this id."""
        if not self._path.exists():
            return None
        with self._connection() as con:
            return _one(con, batch_id)

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
        if not self._path.exists():
            return []
        with self._connection() as con:
            # ids sort by creation time
            rows = con.execute(
                f"select {_COLUMNS} from batches where (?1 is null or caller_id = ?1) and (?2 is null or state = ?2) "
                "and (?3 is null or batch_id < ?3) and (?5 is null or json_extract(request, '$.source') in "
                "(select value from json_each(?5))) order by batch_id desc limit ?4",
                (caller_id, state, before, n, json.dumps(sorted(sources)) if sources is not None else None),
            )
            return [_batch(row) for row in rows]

    def find_by_key(self, key_id: str) -> Batch | None:
        """The batch with this key."""
        if not self._path.exists():
            return None
        with self._connection() as con:
            return of_key(con, key_id)

    def queued(self) -> list[Batch]:
        """Batches that wait for a run, longest wait first."""
        return self._in_state("queued")

    def running(self) -> list[Batch]:
        """Batches that a run has claimed."""
        return self._in_state("running")

    def count(self, state: State = "queued", *, caller_id: str | None = None) -> int:
        """Number of batches in a state, of one caller or all."""
        if not self._path.exists():
            return 0
        with self._connection() as con:
            ((n_batches,),) = con.execute(
                "select count(*) from batches where state = ?1 and (?2 is null or caller_id = ?2)", (state, caller_id)
            ).fetchall()
        return int(n_batches)

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


def _one(con: sqlite3.Connection, batch_id: str) -> Batch | None:
    row = con.execute(f"select {_COLUMNS} from batches where batch_id = ?", (batch_id,)).fetchone()
    return _batch(row) if row else None


def of_key(con: sqlite3.Connection, key_id: str) -> Batch | None:
    """The batch with this key, within the caller's transaction."""
    row = con.execute(f"select {_COLUMNS} from batches where key_id = ?", (key_id,)).fetchone()
    return _batch(row) if row else None


def required(con: sqlite3.Connection, batch_id: str) -> Batch:
    """The batch, within the caller's transaction; raises NotFoundError if it does not exist."""
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
