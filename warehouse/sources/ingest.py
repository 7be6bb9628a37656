"""Load landing files into raw tables as text, with each row's file and line; a file is loaded whole or not at all."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import duckdb
import pyarrow as pa

from warehouse.errors import LakeError, SourceFileError
from warehouse.lake import connection as lake
from warehouse.lenders.files import FileSettings
from warehouse.lenders.rules import read_lender
from warehouse.raw import SOURCES
from warehouse.readers.csv_lines import NOTE
from warehouse.readers.json_lines import Messages
from warehouse.readers.opening import open_table
from warehouse.readers.parquet_file import ParquetFile
from warehouse.readers.table_file import RejectedLine, TableFile
from warehouse.settings import Settings
from warehouse.sources.landing import LandedFile, receive
from warehouse.sources.recorded import LAYOUT_COLUMNS, PULL_COLUMNS, Origin
from warehouse.sources.target import Target, columns_to_load, require_table, target_of

if TYPE_CHECKING:
    from warehouse.sources.simulated.simulation import Simulation

Report = Callable[["IngestResult"], None]
Status = Literal["loaded", "already_loaded"]
_Content = tuple[str, str, str]  # source, entity, sha256


class _Known(NamedTuple):
    """A file in the lake, and its landing name. ``is_erased``: lines of the landing file were erased after loading."""

    n_rows: int
    n_rejected: int
    is_erased: bool = False
    file: str = ""
    reasons: tuple[str, ...] = ()
    ignored_columns: tuple[str, ...] = ()
    new_columns: tuple[str, ...] = ()
    read_as: str = ""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class IngestResult:
    """The result for one file.

    ``n_rows`` and ``n_rejected``: of the file, whichever call loaded it; notes and titles are not among the rejected.
    ``sha256``: of the loaded content. The other fields only if this call loaded the file. ``ignored_columns``: not
    loaded. ``new_columns``: not in earlier files. ``reasons``: the three commonest, each with its count. ``read_as``:
    its encoding, separators, title lines and sheet, as far as they are not usual. The next build finds unreadable
    values.
    """

    source: str
    entity: str
    file: str
    n_rows: int
    n_rejected: int
    status: Status
    seconds: float
    sha256: str
    ignored_columns: tuple[str, ...] = ()
    new_columns: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    read_as: str = ""
    notices: tuple[str, ...] = ()

    @property
    def lost_share(self) -> float:
        """Share of the file's lines that are not rows, by their separators and quotes."""
        return self.n_rejected / (self.n_rows + self.n_rejected)


def ingest_files(
    source: str,
    paths: Sequence[str | Path],
    settings: Settings,
    entity: str | None = None,
    report: Report | None = None,
) -> list[IngestResult]:
    """Land and load files of one source, in order, one transaction a file; ``report`` is called after each.

    Content that was loaded before changes nothing; a lost landing file is landed again under its first name, unless a
    person was erased from it. ``entity`` may be omitted if the source has only one. Raises SourceFileError for an
    unusable file, FileChangedError for one that was written to meanwhile: nothing of it is loaded.
    """
    target = target_of(source, entity)
    return _ingest([(target, Path(path)) for path in paths], settings, report)


def ingest_simulated(settings: Settings, simulation: "Simulation", report: Report | None = None) -> list[IngestResult]:
    """Write a simulated lender's files into the landing directory, unless they exist, and load them."""
    from warehouse.sources.simulated.generate import generate  # only this source needs NumPy

    directory = settings.landing / "simulated"
    paths = {entity: directory / entity / simulation.file_name(entity) for entity in SOURCES["simulated"].entities}
    if not all(path.exists() for path in paths.values()):
        generate(simulation, directory)
    return _ingest([(target_of("simulated", entity), path) for entity, path in paths.items()], settings, report)


def ingest_pulled(target: Target, path: Path, settings: Settings, origin: Origin) -> IngestResult:
    """Load a landing file that a pull or a stream wrote, and how far its source was read, in one transaction.

    Raises LakeBusyError if another one loaded rows of the same place meanwhile.
    """
    return _ingest_file(target, path, settings, {}, origin)


def _ingest(files: Sequence[tuple[Target, Path]], settings: Settings, report: Report | None) -> list[IngestResult]:
    known, results = _loaded_before(settings), []
    for target, path in files:
        result = _ingest_file(target, path, settings, known)
        results.append(result)
        if report is not None:
            report(result)
    return results


def _ingest_file(
    target: Target, path: Path, settings: Settings, known: Mapping[_Content, _Known], origin: Origin | None = None
) -> IngestResult:
    started = time.monotonic()
    landed = receive(path, settings.landing / target.source / target.entity)
    name = landed.path.name
    try:
        counts = known.get((target.source, target.entity, landed.sha256))
        status: Status = "already_loaded"
        if counts is None:
            declared = read_lender(target.source).files.get(target.entity, FileSettings())
            file = open_table(landed.path, declared, notes=target.notes, limits=settings)
            counts, status = _load(
                target, landed, file, settings, keeps_new=declared.new_columns == "keep", origin=origin
            )
        if counts.is_erased:
            landed.withdraw()  # it contains the lines that were erased from the first landing file
        elif counts.file != name:
            landed.land_as(counts.file)
    except BaseException:
        landed.withdraw()
        raise
    return IngestResult(
        source=target.source,
        entity=target.entity,
        file=name,
        n_rows=counts.n_rows,
        n_rejected=counts.n_rejected,
        status=status,
        seconds=time.monotonic() - started,
        sha256=landed.sha256,
        ignored_columns=counts.ignored_columns,
        new_columns=counts.new_columns,
        reasons=counts.reasons,
        read_as=counts.read_as,
        notices=counts.notices,
    )


def _loaded_before(settings: Settings) -> dict[_Content, _Known]:
    """All files in the lake; read without the lease, and again before each insert."""
    try:
        con = lake.connect(settings)
    except LakeError:
        return {}  # no lake yet, or an error that the writer will raise
    with con:
        try:
            rows = con.execute(
                "select source, entity, unnest([sha256, erased_sha256]), n_rows, n_quarantined, "
                "erased_sha256 is not null, file from raw.files"
            ).fetchall()
        except (duckdb.CatalogException, duckdb.BinderException):
            return {}  # no writer of this version has opened the lake yet
    return {(source, entity, sha256): _Known(*counts) for source, entity, sha256, *counts in rows}


def _recorded(con: duckdb.DuckDBPyConnection, target: Target, sha256: str) -> _Known | None:
    row = con.execute(
        "select n_rows, n_quarantined, erased_sha256 is not null, file from raw.files "
        "where source = $1 and entity = $2 and $3 in (sha256, erased_sha256)",
        [target.source, target.entity, sha256],
    ).fetchone()
    return None if row is None else _Known(*row)


def _load(
    target: Target,
    landed: LandedFile,
    file: TableFile,
    settings: Settings,
    *,
    keeps_new: bool,
    origin: Origin | None,
) -> tuple[_Known, Status]:
    """Insert rows, rejected lines and the row of ``raw.files`` in one transaction, or nothing; returns the counts."""
    name, loaded_at = landed.path.name, datetime.now(UTC).replace(tzinfo=None)
    if isinstance(file, Messages) and origin is None:
        raise SourceFileError(
            f"{name} has messages of Kafka, which only `loanlake stream` can load: it knows which are"
        )
    columns = columns_to_load(target, name, file.columns)
    with lake.writer(f"ingest {target.source} {name}", settings) as con:
        counts = _recorded(con, target, landed.sha256)
        if counts is not None:
            return counts, "already_loaded"  # another process loaded it while this one waited for the lease
        con.execute("begin")
        pulled = None if origin is None else origin.settled(con, target.source, target.entity)
        # without columns: messages of which none is a row, before there is a table
        new = require_table(con, target, columns, keeps_new=keeps_new) if columns else ()
        if not keeps_new:
            columns, new = tuple(column for column in columns if column not in new), ()
        n_rows = insert_rows(con, target, file, columns, loaded_at) if columns else _only_rejected(file)
        rejected = file.rejected
        if isinstance(file, Messages):
            _insert_messages(con, target, file, loaded_at)
        elif n_rows == 0 and pulled is None:
            raise SourceFileError(f"{name} must have at least one row: {_no_rows(rejected)}; nothing of it was loaded")
        if rejected:
            _insert_rejected(con, target, name, rejected, loaded_at)
        layout = file.layout
        # title lines and other notes are kept beside the lines that are lost, and are not a loss
        lost = Counter(line.reason for line in rejected if line.reason != NOTE)
        con.execute(
            "insert into raw.files (source, entity, file, sha256, n_bytes, n_rows, n_quarantined, loaded_at, "
            f"{', '.join((*LAYOUT_COLUMNS, *PULL_COLUMNS))}) "
            f"values ({', '.join('?' * (8 + len(LAYOUT_COLUMNS) + len(PULL_COLUMNS)))})",
            [target.source, target.entity, name, landed.sha256, landed.n_bytes, n_rows, lost.total(), loaded_at]
            + [getattr(layout, column) for column in LAYOUT_COLUMNS]
            + [getattr(pulled, column, None) for column in PULL_COLUMNS],
        )
        landed.require_unchanged()
        con.execute("commit")
        reasons = tuple(f"{reason} ({n:,})" for reason, n in lost.most_common(3))
        loaded = _Known(
            n_rows,
            lost.total(),
            file=name,
            reasons=reasons,
            ignored_columns=tuple(column for column in file.columns if column not in columns),
            new_columns=new,
            read_as=str(layout),
            notices=layout.notices,
        )
        return loaded, "loaded"


def _only_rejected(file: TableFile) -> int:
    return sum(batch.num_rows for batch in file.batches(()))


def _insert_messages(con: duckdb.DuckDBPyConnection, target: Target, file: Messages, loaded_at: datetime) -> None:
    con.register("messages", file.positions())
    con.execute(
        "insert into raw.messages by name "
        "select $source as source, $entity as entity, $file as file, *, $at::timestamp as loaded_at from messages",
        {"source": target.source, "entity": target.entity, "file": file.path.name, "at": loaded_at},
    )


def _no_rows(rejected: Sequence[RejectedLine]) -> str:
    lines = [line for line in rejected if line.reason != NOTE]
    if not lines:
        return "found a header and no row"
    return (
        f"none of its lines is one ({lines[0].reason}). Its header must come before the rows, with a name for each "
        "field; declare `title_lines` and `delimiter` in the lender's file if they were not found (docs/files.md)"
    )


def insert_rows(
    con: duckdb.DuckDBPyConnection,
    target: Target,
    file: TableFile,
    columns: tuple[str, ...],
    loaded_at: datetime,
) -> int:
    """Insert a landing file's rows into its table, all or none; returns their number."""
    refusal: list[SourceFileError] = []
    if isinstance(file, ParquetFile):
        rows = f"({file.select(columns)})"
    else:
        schema = pa.schema([*((column, pa.string()) for column in columns), ("_line", pa.int64())])
        con.register("incoming", pa.RecordBatchReader.from_batches(schema, _batches(file, columns, refusal)))
        rows = "incoming"
    try:
        inserted = con.execute(
            f"insert into {target.table} by name select *, $file as _file, $at::timestamp as _loaded_at from {rows}",
            {"file": file.path.name, "at": loaded_at},
        ).fetchone()
    except duckdb.Error as error:
        if refusal:
            raise refusal[0] from None
        if isinstance(file, ParquetFile):
            file.require_whole()
        raise LakeError(
            f"the rows of {file.path.name} could not be written to the lake: {error}; nothing of it was loaded"
        ) from error
    return int(inserted[0]) if inserted else 0


def _batches(file: TableFile, columns: tuple[str, ...], refusal: list[SourceFileError]) -> Iterator[pa.RecordBatch]:
    # DuckDB wraps a reader's error in its own text: the message for the user is kept beside it
    try:
        yield from file.batches(columns)
    except SourceFileError as error:
        refusal.append(error)
        raise


def _insert_rejected(
    con: duckdb.DuckDBPyConnection, target: Target, name: str, rejected: Sequence[RejectedLine], loaded_at: datetime
) -> None:
    con.register("rejected", pa.Table.from_pylist([asdict(line) for line in rejected]))
    con.execute(
        "insert into raw.rejected_lines by name "
        "select $source as source, $entity as entity, $file as file, *, $at::timestamp as loaded_at from rejected",
        {"source": target.source, "entity": target.entity, "file": name, "at": loaded_at},
    )
