"""Connections to the PostgreSQL server of a team, whose schema ``loanlake`` is created when it is missing."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from warehouse.errors import TeamError
from warehouse.settings import Settings
from warehouse.settings.variable import masked

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_Found = TypeVar("_Found")

#: Seconds to wait for the server, unless the connection string says otherwise.
_CONNECT_SECONDS = 5
#: A machine without power says nothing: after a minute its turns are free. PostgreSQL's default is two hours.
KEEPALIVE = "set tcp_keepalives_idle = 30; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3"
_CREATING = 5_364_151_727  # an arbitrary constant: an advisory lock of two machines that begin at the same time
_SCHEMA = """
create schema if not exists loanlake;
create schema if not exists mlflow;
create schema if not exists dagster;
create sequence if not exists loanlake.positions;
create table if not exists loanlake.files (
    path text primary key, content bytea, mode integer not null, position bigint not null
);
create index if not exists files_by_position on loanlake.files (position);
create table if not exists loanlake.machines (
    machine text primary key, seen_at timestamptz not null, n_waiting bigint not null
);
create table if not exists loanlake.decision_log (
    kind text not null, id text not null, position bigint generated always as identity, machine text not null,
    appended_at double precision not null, payload bytea not null, primary key (kind, id)
);
create table if not exists loanlake.decision_keys (
    key_id text primary key, decision_id text not null, added_at timestamptz not null default now()
);
create table if not exists loanlake.daemon_turns (
    taken_at timestamptz primary key default clock_timestamp(), machine text not null
);
"""
_created: set[str] = set()


@contextmanager
def server(settings: Settings, purpose: str = "") -> Iterator["Connection"]:
    """A connection that commits each statement, or each ``transaction()``; raises TeamError without the password."""
    import psycopg

    try:
        with _connect(settings, purpose) as connection:
            yield connection
    except psycopg.Error as error:
        raise _cannot(error) from None


def make_schemas(settings: Settings) -> None:
    """Create the schemas of the server if they are missing, for MLflow and Dagster, which create tables in them."""
    with server(settings):
        pass


class TeamServer:
    """One kept connection for the calls of a long-lived process, opened again after an error. Any thread may call."""

    def __init__(self, settings: Settings, purpose: str):
        self._settings, self._purpose = settings, purpose
        self._turn = threading.Lock()
        self._connection: Connection | None = None

    def call(self, do: Callable[["Connection"], _Found], *, whole: bool = True) -> _Found:
        """The result of ``do``, in a transaction; a connection that the server closed is opened again, once.

        ``whole=False``: each statement, or ``transaction()`` of ``do``, commits by itself. Raises TeamError.
        """
        import psycopg

        with self._turn:
            try:
                return self._tried(do, whole)
            except psycopg.OperationalError:
                pass
            except psycopg.Error as error:
                raise _cannot(error) from None
            try:
                return self._tried(do, whole)
            except psycopg.Error as error:
                raise _cannot(error) from None

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        with self._turn:
            self._drop()

    def _tried(self, do: Callable[["Connection"], _Found], whole: bool) -> _Found:
        if self._connection is None:
            self._connection = _connect(self._settings, self._purpose)
        try:
            with self._connection.transaction() if whole else nullcontext():
                return do(self._connection)
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(Exception):  # it may be broken already
                self._connection.close()
        self._connection = None


def _connect(settings: Settings, purpose: str) -> "Connection":
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise TeamError("LOANLAKE_CATALOG needs the extra 'team': pip install 'loanlake[team]'") from None
    if settings.catalog is None:
        raise TeamError("a team's server needs LOANLAKE_CATALOG, which is not set")
    name = f"loanlake: {purpose or settings.machine}"[:63]
    given = {"connect_timeout": _CONNECT_SECONDS, **conninfo_to_dict(settings.catalog)}
    connection = psycopg.connect(**given, autocommit=True, application_name=name)  # type: ignore[arg-type]  # libpq's words
    try:
        connection.execute(KEEPALIVE)
        if settings.catalog not in _created:
            with connection.transaction():
                connection.execute("select pg_advisory_xact_lock(%s)", [_CREATING])
                ((exists,),) = connection.execute("select to_regclass('loanlake.daemon_turns') is not null").fetchall()
                if not exists:
                    connection.execute(_SCHEMA)
            _created.add(settings.catalog)
    except BaseException:
        connection.close()
        raise
    return connection


def _cannot(error: Exception) -> TeamError:
    text = " ".join(masked(str(error)).split())
    return TeamError(
        f"the team's PostgreSQL server (LOANLAKE_CATALOG) must answer: {text}; `loanlake doctor` checks each server"
    )
