"""Where the states of batches are: a SQLite file of the home, or the PostgreSQL server of a team.

Both get the same statements, with ``?`` for a parameter.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from warehouse.settings import Settings
from warehouse.team import server

if TYPE_CHECKING:
    import psycopg

_BUSY_SECONDS = 20.0
_CREATING = 5_364_151_729  # an arbitrary constant: an advisory lock while the table is created
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
);
create index if not exists batches_by_state on batches (state, queued_at);
-- of two batches with one Idempotency-Key, in whatever processes, the second is not accepted
create unique index if not exists batches_by_key on batches (key_id) where key_id is not null;
"""


class Connection(Protocol):
    """A connection of either database."""

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Any:
        """A cursor."""


class Database(Protocol):
    """The table of batches; connections commit each statement, transactions exclude each other."""

    def exists(self) -> bool:
        """Whether there may be batches."""

    def of_request(self, name: str) -> str:
        """SQL for a field of the request."""

    def connection(self) -> AbstractContextManager[Connection]:
        """For reading."""

    def transaction(self) -> AbstractContextManager[Connection]:
        """For changes, durable at its end."""


def database(settings: Settings) -> Database:
    """The database of a home or a team."""
    return _File(settings) if settings.catalog is None else _Server(settings)


class _File:
    def __init__(self, settings: Settings):
        self._path = settings.batch_states

    def exists(self) -> bool:
        return self._path.exists()

    def of_request(self, name: str) -> str:
        return f"json_extract(request, '$.{name}')"

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as con:
            con.execute("pragma journal_mode = wal")
            con.execute("pragma synchronous = full")
            if not con.execute("select 1 from sqlite_master where name = 'batches'").fetchone():
                con.executescript(f"begin immediate; {_SCHEMA} commit;")
                self._path.chmod(0o600)
            yield con

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with self.connection() as con:
            con.execute("begin immediate")
            try:
                yield con
                con.execute("commit")
            except BaseException:
                con.execute("rollback")
                raise


class _Server:
    def __init__(self, settings: Settings):
        self._settings = settings

    def exists(self) -> bool:
        return True

    def of_request(self, name: str) -> str:
        return f"request::json->>'{name}'"

    @contextmanager
    def connection(self) -> Iterator["_Translated"]:
        with server(self._settings, "batches") as con:
            con.execute("set search_path = loanlake")
            if con.execute("select to_regclass('batches') is null").fetchone() == (True,):
                with con.transaction():
                    con.execute("select pg_advisory_xact_lock(%s)", [_CREATING])
                    con.execute(_SCHEMA)
            yield _Translated(con)

    @contextmanager
    def transaction(self) -> Iterator["_Translated"]:
        with self.connection() as con, con.whole():
            yield con


class _Translated:
    def __init__(self, con: "psycopg.Connection[Any]"):
        self._con = con

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Any:
        return self._con.execute(statement.replace("?", "%s"), parameters)

    @contextmanager
    def whole(self) -> Iterator[None]:
        with self._con.transaction():
            # as SQLite's "begin immediate": no two transitions at the same time
            self._con.execute("lock table batches in exclusive mode")
            yield
