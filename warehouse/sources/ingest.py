"""Load landing files into raw tables: text columns, each row's file and line, all of a file or nothing of it."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import duckdb
import pyarrow as pa

from warehouse import lake
from warehouse.errors import LakeError, SourceFileError
from warehouse.settings import Settings
from warehouse.sources import SOURCES, raw_columns
from warehouse.sources.csv_file import CsvFile
from warehouse.sources.declaration import PROVENANCE_COLUMNS, raw_table
from warehouse.sources.landing import LandedFile, receive
from warehouse.sources.parquet_file import ParquetFile, is_parquet
from warehouse.tables import TABLES

if TYPE_CHECKING:
    from warehouse.sources.simulated.generate import Simulation

Report = Callable[["IngestResult"], None]
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class IngestResult:
    """What became of one file.

    ``n_rows`` and ``n_rejected`` are of the file, whether this call loaded it or an earlier one. ``ignored_columns``:
    columns the file has and its source does not know.
    """

    source: str
    entity: str
    file: str
    n_rows: int
    n_rejected: int
    status: Literal["loaded", "already_loaded"]
    seconds: float
    ignored_columns: tuple[str, ...] = ()


def ingest_files(
    source: str,
    paths: Sequence[str | Path],
    settings: Settings,
    entity: str | None = None,
    report: Report | None = None,
) -> list[IngestResult]:
    """Land and load files of one source, in order, one transaction a file; ``report`` hears of each as it is done.

    A file whose content was loaded before changes nothing. ``entity`` may be left out where the source has one. Raises
    SourceFileError for a file that cannot be used: nothing of it is loaded, the files before it stay loaded.
    """
    entity = _entity(source, entity)
    results = []
    for path in paths:
        result = _ingest_file(source, entity, Path(path), settings)
        results.append(result)
        if report is not None:
            report(result)
    return results


def ingest_simulated(settings: Settings, simulation: "Simulation", report: Report | None = None) -> list[IngestResult]:
    """Write a simulated lender's files into the landing directory, unless they are there already, and load them."""
    from warehouse.sources.simulated.generate import generate  # NumPy is needed by this source alone

    directory = settings.landing / "simulated"
    paths = {entity: directory / entity / simulation.file_name(entity) for entity in SOURCES["simulated"].entities}
    if not all(path.exists() for path in paths.values()):
        generate(simulation, directory)
    results = []
    for entity, path in paths.items():
        results += ingest_files("simulated", [path], settings, entity, report)
    return results


def _ingest_file(source: str, entity: str, path: Path, settings: Settings) -> IngestResult:
    started = time.monotonic()
    landed = receive(path, settings.landing / source / entity)
    try:
        known = _loaded_before(source, entity, landed.sha256, settings)
        if known is None:
            file = ParquetFile(landed.path) if is_parquet(landed.path) else CsvFile(landed.path, _notes(source))
            columns, ignored = _columns(source, entity, file)
            known = _load(source, entity, landed, file, columns, settings)
            status: Literal["loaded", "already_loaded"] = "loaded"
        else:
            ignored, status = (), "already_loaded"
    except BaseException:
        landed.withdraw()
        raise
    n_rows, n_rejected = known
    return IngestResult(
        source=source,
        entity=entity,
        file=landed.path.name,
        n_rows=n_rows,
        n_rejected=n_rejected,
        status=status,
        seconds=time.monotonic() - started,
        ignored_columns=ignored,
    )


def _load(
    source: str,
    entity: str,
    landed: LandedFile,
    file: CsvFile | ParquetFile,
    columns: tuple[str, ...],
    settings: Settings,
) -> tuple[int, int]:
    """Insert the file's rows, its rejected lines and its own row of ``raw.files`` in one transaction."""
    table = raw_table(source, entity)
    with lake.writer(f"ingest {source} {landed.path.name}", settings) as con:
        loaded_at = datetime.now(UTC).replace(tzinfo=None)
        con.execute("begin")
        _require_table(con, source, entity, columns)
        n_rows = _insert(con, table, file, columns, landed.path.name, loaded_at)
        rejected = file.rejected if isinstance(file, CsvFile) else []
        if n_rows == 0:
            raise SourceFileError(_no_rows(landed.path.name, rejected[0].reason if rejected else None))
        if rejected:
            lines = pa.table(
                {
                    "line": [line.line for line in rejected],
                    "value": [line.value for line in rejected],
                    "reason": [line.reason for line in rejected],
                }
            )
            con.register("rejected", lines)
            con.execute(
                "insert into raw.rejected_lines by name "
                "select $source as source, $entity as entity, $file as file, *, $at::timestamp as loaded_at from rejected",
                {"source": source, "entity": entity, "file": landed.path.name, "at": loaded_at},
            )
        con.execute(
            "insert into raw.files values (?, ?, ?, ?, ?, ?, ?, ?)",
            [source, entity, landed.path.name, landed.sha256, landed.n_bytes, n_rows, len(rejected), loaded_at],
        )
        con.execute("commit")
        return n_rows, len(rejected)


def _insert(
    con: duckdb.DuckDBPyConnection,
    table: str,
    file: CsvFile | ParquetFile,
    columns: tuple[str, ...],
    name: str,
    loaded_at: datetime,
) -> int:
    failure: list[SourceFileError] = []
    if isinstance(file, ParquetFile):
        rows = f"({file.select(columns)})"
    else:
        schema = pa.schema([*((column, pa.string()) for column in columns), ("_line", pa.int64())])
        con.register("incoming", pa.RecordBatchReader.from_batches(schema, _remembering(file, columns, failure)))
        rows = "incoming"
    try:
        inserted = con.execute(
            f"insert into {table} by name select *, $file as _file, $at::timestamp as _loaded_at from {rows}",
            {"file": name, "at": loaded_at},
        ).fetchone()
    except duckdb.Error as error:
        if failure:
            raise failure[0] from None
        raise SourceFileError(f"{name} could not be read to its end: {error}; nothing of it was loaded") from error
    return int(inserted[0]) if inserted else 0


def _remembering(file: CsvFile, columns: tuple[str, ...], failure: list[SourceFileError]) -> Iterator[pa.RecordBatch]:
    # DuckDB wraps what a reader raises in a text of its own; the message written for the user is kept beside it
    try:
        yield from file.batches(columns)
    except SourceFileError as error:
        failure.append(error)
        raise


def _loaded_before(source: str, entity: str, sha256: str, settings: Settings) -> tuple[int, int] | None:
    try:
        con = lake.connect(settings)
    except LakeError:
        return None  # no lake yet, so nothing in it
    try:
        row = con.execute(
            "select n_rows, n_quarantined from raw.files where source = ? and entity = ? and sha256 = ?",
            [source, entity, sha256],
        ).fetchone()
    except duckdb.CatalogException:
        return None
    finally:
        con.close()
    return None if row is None else (int(row[0]), int(row[1]))


def _entity(source: str, entity: str | None) -> str:
    for what, name in (("source", source), ("entity", entity)):
        if name is not None and not _NAME.fullmatch(name):
            raise SourceFileError(
                f"the name of a {what} must be lower case letters, digits and _, a letter first: found {name!r}"
            )
    known = SOURCES.get(source)
    if known is None:
        if entity is None:
            raise SourceFileError(
                f"{source!r} is none of the known sources ({', '.join(SOURCES)}): for a lender of your own say what "
                f"kind of file this is, for instance --entity loans"
            )
        if raw_table(source, entity) in {*TABLES, *raw_columns(), "raw.quarantine"}:
            raise SourceFileError(
                f"{raw_table(source, entity)} is a table of Loanlake's own: choose another entity name"
            )
        return entity
    if entity is None and len(known.entities) == 1:
        return next(iter(known.entities))
    if entity not in known.entities:
        raise SourceFileError(
            f"a file of {source} must be one of its entities {', '.join(known.entities)}: found {entity or 'none'}; "
            "name it with --entity"
        )
    return entity


def _notes(source: str) -> tuple[str, ...]:
    return SOURCES[source].notes if source in SOURCES else ()


def _columns(source: str, entity: str, file: CsvFile | ParquetFile) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns to load, in table order, and those of the file that its source does not know."""
    reserved = sorted(set(PROVENANCE_COLUMNS).intersection(file.columns))
    if reserved:
        raise SourceFileError(f"{file.path.name} must not have columns named {', '.join(reserved)}: Loanlake adds them")
    if source not in SOURCES:
        return file.columns, ()
    expected = SOURCES[source].entities[entity]
    missing = [column for column in expected if column not in file.columns]
    if missing:
        raise SourceFileError(_missing_columns(file.path.name, source, entity, missing, expected, file.columns))
    return expected, tuple(column for column in file.columns if column not in expected)


def _require_table(con: duckdb.DuckDBPyConnection, source: str, entity: str, columns: tuple[str, ...]) -> None:
    """Create an own lender's table from its first file; a later file must have the same columns."""
    if source in SOURCES:
        return
    table = raw_table(source, entity)
    existing = con.execute(
        "select column_name from information_schema.columns where table_catalog = ? and table_schema = 'raw' "
        "and table_name = ? order by ordinal_position",
        [lake.CATALOG, table.removeprefix("raw.")],
    ).fetchall()
    if not existing:
        body = [*(f'"{column}" varchar' for column in columns)]
        body += [f"{column} {data_type}" for column, data_type in PROVENANCE_COLUMNS.items()]
        con.execute(f"create table {table} ({', '.join(body)})")
        return
    expected = tuple(row[0] for row in existing if row[0] not in PROVENANCE_COLUMNS)
    missing = [column for column in expected if column not in columns]
    extra = [column for column in columns if column not in expected]
    if missing or extra:
        raise SourceFileError(
            f"a file of {source} {entity} must have the columns of the first one loaded ({', '.join(expected)}): "
            f"missing {', '.join(missing) or 'none'}, new {', '.join(extra) or 'none'}; nothing of it was loaded. "
            "Load a file of another layout as another --entity"
        )


def _missing_columns(
    name: str, source: str, entity: str, missing: list[str], expected: tuple[str, ...], found: tuple[str, ...]
) -> str:
    return (
        f"{name} is not a {source} file of {entity}: {len(missing)} of its {len(expected)} columns are missing: "
        f"{', '.join(missing[:20])}{', …' if len(missing) > 20 else ''}; found {len(found)}: "
        f"{', '.join(found[:20])}{', …' if len(found) > 20 else ''}; nothing of it was loaded"
    )


def _no_rows(name: str, reason: str | None) -> str:
    found = f"none of its lines is one (the first: {reason})" if reason else "found a header and no row"
    return f"{name} must have at least one row: {found}; nothing of it was loaded"
