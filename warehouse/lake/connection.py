"""Open the lake: extensions from wheels, DuckLake attached as ``lake``, and one writer at a time.

Readers (:func:`connect`) take no lease and never wait. Writers (:func:`writer`) take turns by an exclusive lock: six
processes writing to a SQLite catalog without it lost 102–190 of 310 commits, with it none.
"""

import importlib.util
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from warehouse.errors import LakeError, NoLakeError
from warehouse.lake.comments import comments_are_missing, write_comments
from warehouse.lake.lease import lease
from warehouse.lake.tables import missing_statements
from warehouse.raw import create_missing_raw_tables, raw_columns
from warehouse.settings import Settings
from warehouse.sql.quoting import literal

__all__ = [
    "CATALOG",
    "DEV",
    "SCHEMAS",
    "attach",
    "connect",
    "current_snapshot",
    "extension_path",
    "is_prepared",
    "lake_exists",
    "lease",
    "prepare",
    "writer",
]

CATALOG = "lake"
#: What a person's own lake is attached as, beside production's.
DEV = "dev"
#: The layers in the order rows travel; each is a schema of the lake.
SCHEMAS = ("raw", "staging", "core", "features", "training", "serving", "monitoring")
#: Milliseconds to wait for the moment in which another process commits, or gives the catalog's free pages back.
_PATIENT = "{}busy_timeout 20000"
#: What DuckLake tells a reader of a database that is there, and holds no lake.
_NOT_MADE_YET = "creating a new DuckLake is explicitly disabled"
_FIRST = "run `loanlake ingest` or `loanlake run` first"
#: Extension files whose signature DuckDB has verified in this process. It hashes 36 MB for each `load`, which took 0.27
#: of the 0.33 s that every connection cost: an unchanged file is verified once.
_verified: set[tuple[Path, int, int, int]] = set()


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


def attach(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    *,
    read_only: bool,
    name: str = CATALOG,
    snapshot: int | None = None,
) -> None:
    """Load the extensions and attach the lake to ``con`` as ``name``; creates an empty lake where none ever was.

    ``snapshot``: the state that a reader is given, whatever is written meanwhile; default: always the newest. Raises
    NoLakeError when a read-only reader finds no lake, another LakeError when the catalog cannot be opened or is lost.
    """
    exists = lake_exists(settings)  # first: SQLite deletes the -wal of a database that it does not find
    con.execute("set autoinstall_known_extensions = false")
    # for every cursor too, which a setting of this session would not reach; dbt runs its models on cursors
    con.execute("set global timezone = 'UTC'")
    con.execute("set enable_progress_bar = false")  # it would stand in the middle of a query's JSON
    # what does not fit in memory goes to the home's disk, not to whatever the working directory is
    con.execute(f"set memory_limit = '{settings.query_bytes} bytes'")
    con.execute(f"set temp_directory = {literal(str(settings.spill))}")
    for path in _extensions(settings):
        con.execute(f"load {literal(str(path))}")

    if read_only and not exists:
        raise NoLakeError(f"no lake at {settings.lake_catalog}: {_FIRST}")
    target = f"sqlite:{settings.lake_catalog}" if settings.catalog is None else f"postgres:{settings.catalog}"
    options = _options(settings, read_only=read_only)
    has_files = not read_only and _has_data_files(settings)
    if has_files:  # a new catalog would know none of them, and maintenance deletes what the catalog does not know
        options.append("create_if_not_exists false")
    if snapshot is not None:
        options.append(f"snapshot_version {snapshot:d}")
    has_moved = _has_moved(con, settings)
    if has_moved:
        options.append("override_data_path true")
    if not read_only or has_moved:
        options.append(f"data_path {literal(settings.lake_data)}")
    try:
        con.execute(f"attach if not exists {literal(f'ducklake:{target}')} as {name} ({', '.join(options)})")
    except duckdb.Error as error:
        if _NOT_MADE_YET in str(error) and has_files:
            raise _lost_catalog(settings, "it holds no lake") from None
        if _NOT_MADE_YET in str(error):
            raise NoLakeError(f"the lake's catalog is there, and holds no lake: {_FIRST}") from None
        raise _cannot_be_opened(error, settings) from None


def _options(settings: Settings, *, read_only: bool) -> list[str]:
    # every row in a file: DuckLake 1.0 can't rewrite a table of which a SQLite catalog holds numbers with a fraction
    options = ["data_inlining_row_limit 0", *(["read_only"] if read_only else [])]
    if settings.catalog is None:
        settings.lake_catalog.parent.mkdir(parents=True, exist_ok=True)
        options.append(_PATIENT.format("meta_"))
        if not read_only:  # lets readers go on while a writer commits; the file remembers it
            options.append("meta_journal_mode 'WAL'")
    elif settings.catalog_schema is not None:
        options.append(f"metadata_schema '{settings.catalog_schema}'")
    return options


def _cannot_be_opened(error: duckdb.Error, settings: Settings) -> LakeError:
    return LakeError(f"the lake's catalog cannot be opened: {_without_secrets(str(error), settings)}")


def _without_secrets(text: str, settings: Settings) -> str:
    # DuckDB quotes the connection string, password and all, and callers of the API see why a lake cannot be read
    for secret in (literal(settings.catalog)[1:-1], settings.catalog) if settings.catalog else ():
        text = text.replace(secret, "LOANLAKE_CATALOG")
    return text


def lake_exists(settings: Settings) -> bool:
    """Whether a reader will find a lake; a PostgreSQL catalog is assumed to hold one, since only attaching can tell.

    Raises LakeError where there was a lake whose catalog is missing or empty by now.
    """
    if settings.catalog is not None:
        return True
    wal = settings.lake_catalog.with_name(f"{settings.lake_catalog.name}-wal")
    if not _n_bytes(settings.lake_catalog) and (_n_bytes(wal) or _has_data_files(settings)):
        n_bytes = _n_bytes(settings.lake_catalog)  # asked again: the first writer may have made the lake meanwhile
        if not n_bytes:
            raise _lost_catalog(settings, "it is missing" if n_bytes is None else "it is empty")
    return settings.lake_catalog.exists()


def _n_bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _has_data_files(settings: Settings) -> bool:
    """Whether a Parquet file lies in the lake's directory; an object store is not searched for one."""
    return "://" not in settings.lake_data and any(Path(settings.lake_data).rglob("*.parquet"))


def _lost_catalog(settings: Settings, found: str) -> LakeError:
    place, files = ("LOANLAKE_CATALOG", "it") if settings.catalog else (settings.lake_catalog, "it with its -wal file")
    return LakeError(
        f"the lake's catalog, {place}, must know the files of {settings.lake_data}: {found}, and a lake was here, so "
        f"no new one is created; nothing was changed. Restore {files} from a backup (docs/runbook.md)"
    )


def connect(settings: Settings | None = None, *, read_only: bool = True) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection whose current catalog is the lake; what a notebook needs, whatever its working directory.

    Each query sees the newest snapshot, and waits for no writer. Read-only by default; code that writes goes through
    :func:`writer`, which also takes the lease.

    >>> with connect() as con:  # doctest: +SKIP
    ...     frame = con.sql("from features.ftr_application where source = 'simulated'").df()
    """
    settings = settings or Settings.from_environment()
    files = {_identity(path) for path in _extensions(settings)}
    con = duckdb.connect(config={"allow_unsigned_extensions": files <= _verified})
    try:
        attach(con, settings, read_only=read_only)
        con.execute("set allow_unsigned_extensions = false")  # for good: DuckDB refuses to allow it again
        _verified.update(files)
        con.execute(f"use {CATALOG}")
    except BaseException:
        con.close()
        raise
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


def current_snapshot(con: duckdb.DuckDBPyConnection) -> int:
    """The lake's newest snapshot id, for ``select … at (version => N)``."""
    row = con.execute(f"select max(snapshot_id) from ducklake_snapshots('{CATALOG}')").fetchone()
    if row is None or row[0] is None:
        raise LakeError("the lake has no snapshot: its catalog is damaged")
    return int(row[0])


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Create, in one transaction, the schemas, program-written and raw tables and comments that are missing.

    Called with the lease held, by every writer: the first one makes one snapshot, the others only look.
    """
    existing, statements = _existing_and_missing(con)
    if existing is None:
        return
    con.execute("begin")
    for schema in SCHEMAS:
        con.execute(f"create schema if not exists {CATALOG}.{schema}")
    for statement in statements:
        con.execute(statement)
    create_missing_raw_tables(con, set(existing))
    write_comments(con)
    con.execute("commit")


def is_prepared(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether :func:`prepare` would find nothing to do."""
    return _existing_and_missing(con)[0] is None


def _existing_and_missing(con: duckdb.DuckDBPyConnection) -> tuple[Collection[str] | None, list[str]]:
    """The tables there are, None where nothing is missing, and the statements that make the others of programs."""
    schemas = {row[0] for row in con.execute("select schema_name from information_schema.schemata").fetchall()}
    tables = con.execute(
        "select table_schema || '.' || table_name from information_schema.tables where table_catalog = ?",
        [CATALOG],
    )
    existing = {name for (name,) in tables.fetchall()}
    statements = missing_statements(existing)
    is_complete = schemas.issuperset(SCHEMAS) and not statements and existing >= raw_columns().keys()
    is_complete = is_complete and not comments_are_missing(con)
    return None if is_complete else existing, statements


def _extensions(settings: Settings) -> list[Path]:
    scanner = "sqlite_scanner" if settings.catalog is None else "postgres_scanner"
    remote_data = "://" in settings.lake_data
    return [extension_path(name) for name in ("ducklake", scanner, *(["httpfs"] if remote_data else []))]


def _identity(path: Path) -> tuple[Path, int, int, int]:
    found = path.stat()
    return path, found.st_ino, found.st_size, found.st_mtime_ns


def _has_moved(con: duckdb.DuckDBPyConnection, settings: Settings) -> bool:
    """Whether this home was copied or moved after its lake was made.

    The catalog remembers the data's place as a whole path: without this the copy would read, and delete, the files of
    the home it was copied from. Raises LakeError where the catalog does not answer: a guess could do the same.

    Asked through the SQLite that the lake itself is attached by (:mod:`warehouse.lake.catalog_pages` says why).
    """
    if settings.catalog is not None or settings.lake_data != settings.default_lake_data or not lake_exists(settings):
        return False
    try:
        con.execute(
            f"attach {literal(str(settings.lake_catalog))} as asked (type sqlite, read_only, {_PATIENT.format('')})"
        )
        try:
            row = con.execute("select value from asked.ducklake_metadata where key = 'data_path'").fetchone()
        finally:
            con.execute("detach asked")
    except duckdb.CatalogException:
        return False  # a writer is about to make the lake: there is no such table yet
    except duckdb.Error as error:
        raise _cannot_be_opened(error, settings) from None
    remembered = str(row[0]) if row else settings.lake_data
    # a place that is not a home's own was chosen by LOANLAKE_LAKE_DATA: DuckLake refuses to write anywhere else
    return remembered != settings.lake_data and remembered.endswith("/lake/data/")
