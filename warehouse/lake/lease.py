"""Turns of the lake's writer and of its sender of alerts: locks that the end of their holder frees, also a crash."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import LakeBusyError, LakeError
from warehouse.files.turns import file_turn, try_lock, unlock
from warehouse.settings import Settings
from warehouse.team.server import KEEPALIVE

if TYPE_CHECKING:
    import psycopg

_SENDERS_LOCK = 5_364_151_727  # of the one process of all machines that sends alerts
_ADVISORY_LOCK = 5_364_151_726  # an arbitrary constant: identifies "the lake's writer" among a server's locks
_SECONDS_BETWEEN_TRIES = 0.05


def lease(purpose: str, settings: Settings) -> AbstractContextManager[None]:
    """Hold the lake's writer lease; raises LakeBusyError naming the holder after ``lease_seconds``. Not reentrant."""
    if settings.catalog is None:
        return _file_lease(purpose, settings.writer_lease, settings.lease_seconds)
    return _advisory_lease(purpose, settings.catalog, _advisory_lock(settings), settings.lease_seconds)


@contextmanager
def senders_turn(settings: Settings) -> Iterator[None]:
    """Be the only process that sends alerts of this lake, on all machines; waits for the one before. Not reentrant.

    With an embedded catalog the machine's lock file is enough, since the home is on one machine.
    """
    if settings.catalog is None:
        with file_turn(settings.alerts_lock):
            yield
        return
    with _session("send alerts", settings.catalog) as connection:
        connection.execute("select pg_advisory_lock(%s)", [_SENDERS_LOCK])
        yield  # closing the connection frees the lock


@contextmanager
def _file_lease(purpose: str, path: Path, seconds: float) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        _take_turn(lambda: try_lock(file.fileno()), lambda: _holder_in(path), seconds)
        holder = {"purpose": purpose, "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        _rewrite(file.fileno(), json.dumps(holder))
        try:
            yield
        finally:
            _rewrite(file.fileno(), "")
            unlock(file.fileno())


@contextmanager
def _advisory_lease(purpose: str, connection_string: str, lock: int, seconds: float) -> Iterator[None]:
    with _session(purpose, connection_string) as connection:
        _take_turn(lambda: _advisory_locked(connection, lock), lambda: _advisory_holder(connection, lock), seconds)
        yield  # closing the connection frees the lock


def _session(purpose: str, connection_string: str) -> "psycopg.Connection[tuple[object, ...]]":
    try:
        import psycopg
    except ImportError:
        raise LakeError("a PostgreSQL catalog needs the extra 'team': pip install 'loanlake[team]'") from None

    try:
        connection = psycopg.connect(connection_string, autocommit=True, application_name=f"loanlake: {purpose}"[:63])
        connection.execute(KEEPALIVE)
    except psycopg.OperationalError as error:
        raise LakeError(f"the lake's catalog, a PostgreSQL database, cannot be reached: {error}") from None
    return connection


def _take_turn(try_lock: Callable[[], bool], holder: Callable[[], str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not try_lock():
        if time.monotonic() >= deadline:
            raise LakeBusyError(
                f"the lake has one writer at a time, and after {seconds:g} s it is still held by {holder()}; "
                "wait for it to end, or raise LOANLAKE_LEASE_SECONDS"
            )
        time.sleep(_SECONDS_BETWEEN_TRIES)


def _rewrite(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.write(descriptor, text.encode())


def _holder_in(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
        return f"{holder['purpose']!r} (process {holder['pid']}, since {holder['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"


def _advisory_lock(settings: Settings) -> int:
    """The number of this lake's lock: each dev lake on a server has its own."""
    if settings.catalog_schema is None:
        return _ADVISORY_LOCK
    digest = hashlib.sha256(settings.catalog_schema.encode()).digest()
    return _ADVISORY_LOCK ^ int.from_bytes(digest[:7], "big")


def _advisory_locked(connection: "psycopg.Connection[tuple[object, ...]]", lock: int) -> bool:
    row = connection.execute("select pg_try_advisory_lock(%s)", [lock]).fetchone()
    return row is not None and row[0] is True


def _advisory_holder(connection: "psycopg.Connection[tuple[object, ...]]", lock: int) -> str:
    row = connection.execute(
        "select application_name, coalesce(client_addr::text, 'this machine'), backend_start::timestamp(0) "
        "from pg_locks join pg_stat_activity using (pid) "
        "where locktype = 'advisory' and granted and classid = %s and objid = %s",
        [lock >> 32, lock & 0xFFFF_FFFF],
    ).fetchone()
    if row is None:
        return "another session of the catalog's server"
    return f"{str(row[0]).removeprefix('loanlake: ')!r} (from {row[1]}, since {row[2]})"
