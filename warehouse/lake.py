"""Open the lake: extensions from wheels, DuckLake attached as ``lake``, and one writer at a time.

Readers (:func:`connect`) take no lease and never wait. Writers (:func:`writer`) take turns by an exclusive lock: six
processes writing to a SQLite catalog without it lost 102–190 of 310 commits, with it none.
"""

import fcntl
import importlib.util
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from warehouse.errors import LakeBusyError, LakeError
from warehouse.settings import Settings
from warehouse.sources import create_missing_raw_tables, raw_columns
from warehouse.tables import TABLES, create_missing

CATALOG = "lake"
#: The layers in the order rows travel; each is a schema of the lake.
SCHEMAS = ("raw", "staging", "core", "features", "training", "serving", "monitoring")
_ADVISORY_LOCK = 5_364_151_726  # any constant: it names "the lake's writer" among a server's advisory locks


def extension_path(name: str) -> Path:
    """The signed DuckDB extension that the wheel ``duckdb-extension-<name>`` carries for this DuckDB version."""
    package = f"duckdb_extension_{name}"
    spec = importlib.util.find_spec(package)
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    for root in roots:
        for path in (root / "extensions" / f"v{duckdb.__version__}").glob("*.duckdb_extension"):
            return path
    raise LakeError(
        f"DuckDB {duckdb.__version__} needs its extension {name!r} from the package {package.replace('_', '-')} of the "
        "same version: it is not installed; install requirements.lock again"
    )


def attach(con: duckdb.DuckDBPyConnection, settings: Settings, *, read_only: bool) -> None:
    """Load the extensions and attach the lake to ``con`` as ``lake``; creates an empty lake where none is.

    Raises LakeError when a read-only reader finds no lake.
    """
    con.execute("set autoinstall_known_extensions = false")
    con.execute("set enable_progress_bar = false")  # it would stand in the middle of a query's JSON
    # what does not fit in memory goes to the home's disk, not to whatever the working directory is
    con.execute(f"set temp_directory = '{_quoted(str(settings.spill))}'")
    scanner = "sqlite_scanner" if settings.catalog is None else "postgres_scanner"
    remote_data = "://" in settings.lake_data
    for name in ("ducklake", scanner, *(["httpfs"] if remote_data else [])):
        con.execute(f"load '{extension_path(name)}'")

    if settings.catalog is None:
        if read_only and not lake_exists(settings):
            raise LakeError(f"no lake at {settings.lake_catalog}: run `loanlake ingest` or `loanlake run` first")
        settings.lake_catalog.parent.mkdir(parents=True, exist_ok=True)
        target = f"sqlite:{settings.lake_catalog}"
        # WAL lets readers go on while a writer commits; the busy time-out covers the moment of the commit itself
        options = ["meta_journal_mode 'WAL'", "meta_busy_timeout 20000"]
    else:
        target, options = f"postgres:{settings.catalog}", []
    if read_only:
        options.append("read_only")
    else:
        options.append(f"data_path '{_quoted(settings.lake_data)}'")
    con.execute(f"attach if not exists 'ducklake:{_quoted(target)}' as {CATALOG} ({', '.join(options)})")


def lake_exists(settings: Settings) -> bool:
    """Whether a reader will find a lake; a PostgreSQL catalog is taken to hold one, since only attaching can tell."""
    return settings.catalog is not None or settings.lake_catalog.exists()


def connect(settings: Settings | None = None, *, read_only: bool = True) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection whose current catalog is the lake.

    Read-only unless asked; code that writes goes through :func:`writer`, which also takes the lease.
    """
    con = duckdb.connect()
    attach(con, settings or Settings.from_environment(), read_only=read_only)
    con.execute(f"use {CATALOG}")
    con.execute("set timezone = 'UTC'")
    return con


@contextmanager
def writer(purpose: str, settings: Settings | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A writing connection, for as long as this process holds the writer lease.

    ``purpose`` ("ingest lending_club") is shown to whoever waits. Raises LakeBusyError after ``lease_seconds``.
    """
    settings = settings or Settings.from_environment()
    with lease(purpose, settings):
        con = connect(settings, read_only=False)
        try:
            prepare(con)
            yield con
        finally:
            con.close()


@contextmanager
def lease(purpose: str, settings: Settings) -> Iterator[None]:
    """Hold the lake's writer lease: an exclusive file lock, or an advisory lock where the catalog is PostgreSQL.

    The operating system (or server) frees it when the process ends, however it ends.
    """
    if settings.catalog is not None:
        with _advisory_lease(settings.catalog, settings.lease_seconds):
            yield
        return

    path = settings.writer_lease
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        _take_turn(file.fileno(), path, settings.lease_seconds)
        holder = {"purpose": purpose, "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        file.seek(0)
        file.truncate()
        file.write(json.dumps(holder))
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()
            file.flush()
            fcntl.flock(file, fcntl.LOCK_UN)


def current_snapshot(con: duckdb.DuckDBPyConnection) -> int:
    """The lake's newest snapshot id, for ``select … at (version => N)``."""
    row = con.execute(f"select max(snapshot_id) from ducklake_snapshots('{CATALOG}')").fetchone()
    if row is None or row[0] is None:
        raise LakeError("the lake has no snapshot: its catalog is damaged")
    return int(row[0])


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Create, in one transaction, whatever schemas, program-written tables and raw tables the lake lacks.

    Called with the lease held, by every writer: the first one makes one snapshot, the others only look.
    """
    schemas = {row[0] for row in con.execute("select schema_name from information_schema.schemata").fetchall()}
    tables = con.execute(
        "select table_schema || '.' || table_name from information_schema.tables where table_catalog = ?", [CATALOG]
    )
    existing = {row[0] for row in tables.fetchall()}
    if schemas.issuperset(SCHEMAS) and existing.issuperset({*TABLES, *raw_columns()}):
        return
    con.execute("begin")
    for schema in SCHEMAS:
        con.execute(f"create schema if not exists {CATALOG}.{schema}")
    create_missing(con)
    create_missing_raw_tables(con, existing)
    con.execute("commit")


def _take_turn(descriptor: int, path: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LakeBusyError(
                    f"the lake has one writer at a time, and after {seconds:g} s it is still held by {_holder(path)}; "
                    "wait for it to end, or raise LOANLAKE_LEASE_SECONDS"
                ) from None
            time.sleep(0.05)


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
        return f"{holder['purpose']!r} (process {holder['pid']}, since {holder['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"


@contextmanager
def _advisory_lease(connection_string: str, seconds: float) -> Iterator[None]:
    try:
        import psycopg
    except ImportError:
        raise LakeError("a PostgreSQL catalog needs the extra 'team': pip install 'loanlake[team]'") from None

    with psycopg.connect(connection_string, autocommit=True) as connection:
        deadline = time.monotonic() + seconds
        while True:
            row = connection.execute("select pg_try_advisory_lock(%s)", [_ADVISORY_LOCK]).fetchone()
            if row is not None and row[0]:
                break
            if time.monotonic() >= deadline:
                raise LakeBusyError(
                    f"the lake has one writer at a time, and after {seconds:g} s another session of the catalog's "
                    "server still holds it; wait for it to end, or raise LOANLAKE_LEASE_SECONDS"
                )
            time.sleep(0.05)
        yield  # closing the connection frees the lock


def _quoted(text: str) -> str:
    return text.replace("'", "''")
