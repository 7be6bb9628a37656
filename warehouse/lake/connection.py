"""Open the lake: extensions from wheels, DuckLake attached as ``lake``, one writer at a time.

Readers (:func:`connect`) take no lease and never wait. Writers (:func:`writer`) hold an exclusive lock: six processes
writing to a SQLite catalog without it lost 102–190 of 310 commits, with it none.
"""

import importlib.util
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from warehouse.errors import LakeError, NoLakeError
from warehouse.lake.comments import comments_are_missing, write_comments
from warehouse.lake.lease import lease
from warehouse.lake.tables import CATALOG, missing_statements, schemas_and_tables
from warehouse.raw import create_missing_raw_tables, raw_columns
from warehouse.settings import Settings
from warehouse.sql.quoting import literal
from warehouse.team.object_store import SCHEME, secret_statement

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

#: Name under which a person's own lake is attached beside production's.
DEV = "dev"
#: The schemas of the lake, one a layer, in the order of the data flow.
SCHEMAS = ("raw", "staging", "core", "features", "training", "models", "serving", "portfolio", "monitoring")
#: Milliseconds to wait while another process commits or frees the catalog's unused pages.
_PATIENT = "{}busy_timeout 20000"
#: DuckLake's message to a reader of a database that contains no lake.
_NOT_MADE_YET = "creating a new DuckLake is explicitly disabled"
_FIRST = "run `loanlake ingest` or `loanlake run` first"
#: Extension files that DuckDB verified in this process. Each `load` hashes 36 MB: 0.27 of the 0.33 s that a connection
#: took. An unchanged file is verified once.
_verified: set[tuple[Path, int, int, int]] = set()


def extension_path(name: str) -> Path:
    """The signed DuckDB extension in the wheel ``duckdb-extension-<name>`` for this DuckDB version."""
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
    """Load the extensions and attach the lake to ``con`` as ``name``; creates an empty lake if there never was one.

    ``snapshot``: fixes the state that a reader sees; default: always the newest. Raises NoLakeError if a reader finds
    no lake, another LakeError if the catalog is lost or cannot be opened.
    """
    exists = lake_exists(settings)  # first: SQLite deletes the -wal of a missing database
    con.execute("set autoinstall_known_extensions = false")
    # global, for all cursors, on which dbt runs its models; a session setting would not reach them
    con.execute("set global timezone = 'UTC'")
    con.execute("set enable_progress_bar = false")  # it would corrupt a query's JSON output
    # spill to the home's disk, not to the working directory
    con.execute(f"set memory_limit = '{settings.query_bytes} bytes'")
    con.execute(f"set temp_directory = {literal(str(settings.spill))}")
    _load_extensions(con, settings)

    if read_only and not exists:
        raise NoLakeError(f"no lake at {settings.lake_catalog}: {_FIRST}")
    target = f"sqlite:{settings.lake_catalog}" if settings.catalog is None else f"postgres:{settings.catalog}"
    options = _options(settings, read_only=read_only)
    may_have_files = not read_only and ("://" in settings.lake_data or _has_data_files(settings))
    if snapshot is not None:
        options.append(f"snapshot_version {snapshot:d}")
    has_moved = _has_moved(con, settings)
    if has_moved:
        options.append("override_data_path true")
    if not read_only or has_moved:
        options.append(f"data_path {literal(settings.lake_data)}")
    statement = f"attach if not exists {literal(f'ducklake:{target}')} as {name}"
    # a new catalog would not know files that are there, and maintenance would delete them
    guarded = [*options, "create_if_not_exists false"] if may_have_files else options
    try:
        con.execute(f"{statement} ({', '.join(guarded)})")
    except duckdb.Error as error:
        if _NOT_MADE_YET not in str(error):
            raise _cannot_be_opened(error, settings) from None
        if read_only:
            raise NoLakeError(f"the lake's catalog is there, and holds no lake: {_FIRST}") from None
        _create_remote(con, settings, f"{statement} ({', '.join(options)})")


def _create_remote(con: duckdb.DuckDBPyConnection, settings: Settings, statement: str) -> None:
    """Create the lake, unless its folder or prefix has another's files."""
    try:
        if _has_data_files(settings) or _has_objects(con, settings):
            raise _lost_catalog(settings, "it holds no lake")
        con.execute(statement)
    except duckdb.Error as error:
        raise _cannot_be_opened(error, settings) from None


def _load_extensions(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    for path in _extensions(settings):
        con.execute(f"load {literal(str(path))}")
    if settings.lake_data.startswith(SCHEME):
        _give_key(con, settings)


def _give_key(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    try:
        con.execute(secret_statement(settings))
    except duckdb.Error as error:  # whose message may quote the statement, with the key
        raise LakeError(
            f"the key of {settings.lake_data} cannot be used: {type(error).__name__}; check the AWS variables"
        ) from None


def _options(settings: Settings, *, read_only: bool) -> list[str]:
    # no inlining: DuckLake 1.0 can't rewrite a table with fractional numbers inlined in a SQLite catalog
    options = ["data_inlining_row_limit 0", *(["read_only"] if read_only else [])]
    if settings.catalog is None:
        settings.lake_catalog.parent.mkdir(parents=True, exist_ok=True)
        options.append(_PATIENT.format("meta_"))
        if not read_only:  # readers can continue while a writer commits; the setting persists in the file
            options.append("meta_journal_mode 'WAL'")
    elif settings.catalog_schema is not None:
        options.append(f"metadata_schema '{settings.catalog_schema}'")
    return options


def _cannot_be_opened(error: duckdb.Error, settings: Settings) -> LakeError:
    text = str(error)
    # DuckDB's message includes the connection string with its password, and API callers see the message
    for secret in (literal(settings.catalog)[1:-1], settings.catalog) if settings.catalog else ():
        text = text.replace(secret, "LOANLAKE_CATALOG")
    return LakeError(f"the lake's catalog cannot be opened: {text}")


def lake_exists(settings: Settings) -> bool:
    """Whether a reader will find a lake (assumed for PostgreSQL); raises LakeError if its catalog is lost."""
    if settings.catalog is not None:
        return True
    wal = settings.lake_catalog.with_name(f"{settings.lake_catalog.name}-wal")
    if not _n_bytes(settings.lake_catalog) and (_n_bytes(wal) or _has_data_files(settings)):
        n_bytes = _n_bytes(settings.lake_catalog)  # again: the first writer may have created the lake meanwhile
        if not n_bytes:
            raise _lost_catalog(settings, "it is missing" if n_bytes is None else "it is empty")
    return settings.lake_catalog.exists()


def _n_bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _has_objects(con: duckdb.DuckDBPyConnection, settings: Settings) -> bool:
    """Whether the lake's prefix has a Parquet file: asked once, before a lake is created there."""
    place = literal(f"{settings.lake_data.rstrip('/')}/**/*.parquet")
    return "://" in settings.lake_data and con.execute(f"select 1 from glob({place}) limit 1").fetchone() is not None


def _has_data_files(settings: Settings) -> bool:
    """Whether the lake's directory has a Parquet file; an object store is not searched."""
    return "://" not in settings.lake_data and any(Path(settings.lake_data).rglob("*.parquet"))


def _lost_catalog(settings: Settings, found: str) -> LakeError:
    place, files = ("LOANLAKE_CATALOG", "it") if settings.catalog else (settings.lake_catalog, "it with its -wal file")
    return LakeError(
        f"the lake's catalog, {place}, must know the files of {settings.lake_data}: {found}, and a lake was here, so "
        f"no new one is created; nothing was changed. Restore {files} from a backup (docs/runbook.md)"
        f"{', or set LOANLAKE_LAKE_DATA to a place of its own' if settings.catalog else ''}"
    )


def connect(settings: Settings | None = None, *, read_only: bool = True) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection whose current catalog is the lake; for notebooks too, in any working directory.

    Each query sees the newest snapshot without waiting for writers. Code that writes uses :func:`writer`.

    >>> with connect() as con:  # doctest: +SKIP
    ...     frame = con.sql("from features.ftr_application where source = 'simulated'").df()
    """
    settings = settings or Settings.from_environment()
    files = {_identity(path) for path in _extensions(settings)}
    con = duckdb.connect(config={"allow_unsigned_extensions": files <= _verified})
    try:
        with _one_thread(con):
            attach(con, settings, read_only=read_only)
            con.execute("set allow_unsigned_extensions = false")  # permanent: DuckDB does not allow it to be set back
            _verified.update(files)
            con.execute(f"use {CATALOG}")
    except BaseException:
        con.close()
        raise
    return con


@contextmanager
def another(con: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A second connection to the lake that ``con`` has attached, with its own transactions and temporary views.

    For queries of two threads at the same time. It takes a tenth of the time of :func:`connect`.
    """
    with con.cursor() as beside:
        beside.execute(f"use {CATALOG}")
        yield beside


@contextmanager
def _one_thread(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let DuckDB work with one thread, then with as many as before.

    DuckLake reads its catalog, a thousand rows, when the lake is first used. Two threads busy-wait for each other and
    need twice the processor time of one: 103 and 56 ms.
    """
    row = con.execute("select current_setting('threads')").fetchone()
    con.execute("set threads = 1")
    yield
    con.execute(f"set threads = {row[0] if row else 1:d}")


@contextmanager
def writer(purpose: str, settings: Settings | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A writing connection under the lease; waiting writers see ``purpose``. Raises LakeBusyError on time-out."""
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
    """Create missing schemas, tables and comments in one transaction; every writer calls it under the lease."""
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
    """Whether :func:`prepare` has nothing to do."""
    return _existing_and_missing(con)[0] is None


def _existing_and_missing(con: duckdb.DuckDBPyConnection) -> tuple[Collection[str] | None, list[str]]:
    """The existing tables (None if nothing is missing), and the statements that create missing program-written ones."""
    schemas, existing = schemas_and_tables(con)
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
    """Whether this home was copied or moved after its lake was created.

    The catalog stores the data's absolute path: the copy would read, and delete, files of the original home. Raises
    LakeError if the catalog does not answer. Uses DuckDB's SQLite (:mod:`warehouse.lake.catalog_pages` says why).
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
        return False  # a writer is creating the lake: the table does not exist yet
    except duckdb.Error as error:
        raise _cannot_be_opened(error, settings) from None
    remembered = str(row[0]) if row else settings.lake_data
    # any other path was set by LOANLAKE_LAKE_DATA: DuckLake refuses to write anywhere else
    return remembered != settings.lake_data and remembered.endswith("/lake/data/")
