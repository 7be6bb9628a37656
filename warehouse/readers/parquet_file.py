"""A Parquet file: its columns, and the query that reads them as text.

A pull's landing file may also hold rows that could not be taken, each as JSON with the reason: its rejected lines. Of
erased rows a landing file keeps the places, which are not rows, and lists them in its metadata.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import SourceFileError
from warehouse.files.patterns import parquet
from warehouse.raw import column_name
from warehouse.readers.csv_head import MOST_COLUMNS
from warehouse.readers.limits import Limits, require_bytes, require_rows
from warehouse.readers.table_file import VALUE_CHARACTERS, FileLayout, RejectedLine
from warehouse.sql.quoting import identifier, literal

#: Key of the metadata of a landing file that a pull wrote.
PULL_METADATA = b"loanlake_pull"
#: Key of the metadata of a landing file that persons were erased from: their rows' places, counted from 0.
ERASED_METADATA = b"loanlake_erased"
#: Columns of its rejected rows: the row as JSON, and why it was rejected; null in all others. None are in a file
#: without rejected rows.
REJECTED_COLUMNS = ("_rejected_value", "_rejected_reason")
_BATCH_ROWS = 20_000


@dataclass
class ParquetFile:
    """A Parquet file with its raw column names; raises SourceFileError if it is damaged or repeats a name."""

    path: Path
    limits: InitVar[Limits | None] = None
    columns: tuple[str, ...] = field(init=False)
    n_rows: int = field(init=False)
    layout: FileLayout = field(init=False, default=FileLayout("parquet"))
    #: None, unless a pull wrote the file: every row of it is one.
    rejected: list[RejectedLine] = field(init=False, default_factory=list)
    _names: dict[str, str] = field(init=False)
    _metadata: dict[bytes, bytes] = field(init=False)

    def __post_init__(self, limits: Limits | None) -> None:
        try:
            with pq.ParquetFile(self.path) as file:
                names, self.n_rows = file.schema_arrow.names, file.metadata.num_rows
                self._metadata = file.metadata.metadata or {}
                n_bytes = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
        except (pa.ArrowException, OSError) as error:
            raise SourceFileError(
                f"{self.path.name} begins as a Parquet file but cannot be read as one ({error}); nothing was loaded"
            ) from None
        if limits is not None:
            require_rows(self.path, self.n_rows, limits)
            require_bytes(self.path, n_bytes, limits)
        if len(names) > MOST_COLUMNS:
            raise SourceFileError(
                f"{self.path.name} must have at most {MOST_COLUMNS:,} columns: found {len(names):,}; nothing was loaded"
            )
        if PULL_METADATA in self._metadata and set(REJECTED_COLUMNS) <= set(names):
            names = [name for name in names if name not in REJECTED_COLUMNS]
            self.rejected = self._rejected()
        self.columns = tuple(column_name(name) for name in names)
        self._names = dict(zip(self.columns, names, strict=True))
        if not names or len(self._names) != len(names) or "" in self._names:
            twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
            raise SourceFileError(
                f"every column of {self.path.name} must have a name of its own in lower case letters and digits: found "
                f"{', '.join(twice) or 'a column without one'}; nothing of it was loaded"
            )

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows in file order: ``columns`` as text, then ``_line``."""
        with duckdb.connect() as con:
            yield from con.execute(f"{self.select(columns)} order by _line").to_arrow_reader(_BATCH_ROWS)

    def select(self, columns: Sequence[str]) -> str:
        """SQL for ``columns`` as text and ``_line``, the row's number plus one, as if line 1 were a header."""
        texts = [f'cast({identifier(self._names[column])} as varchar) as "{column}"' for column in columns]
        only = [f"{REJECTED_COLUMNS[1]} is null"] if self.rejected else []
        if erased := self._erased:
            only.append(f"file_row_number not in ({', '.join(map(str, erased))})")
        where = f" where {' and '.join(only)}" if only else ""
        return f"select {', '.join(texts)}, file_row_number + 2 as _line from {self._rows}{where}"

    def rejected_field(self, column: str) -> str | None:
        """SQL for a column's text in the JSON of a rejected row; None if there are none."""
        if not self.rejected or column not in self._names:
            return None
        pattern = f'"{re.escape(self._names[column])}"\\s*:\\s*"?([^",}}]*)'
        return f"regexp_extract(value, {literal(pattern)}, 1)"

    def require_whole(self) -> None:
        """Read the whole file; raises SourceFileError if it is damaged."""
        try:
            with pq.ParquetFile(self.path) as file:
                for _ in file.iter_batches():
                    pass
        except (pa.ArrowException, OSError) as error:
            raise SourceFileError(
                f"{self.path.name} could not be read to its end ({error}): fetch it again; nothing of it was loaded"
            ) from None

    def write_without(self, lines: Collection[int], to: Path) -> None:
        """Write the file to ``to`` with only nulls in the rows of ``lines``, which no reader takes for rows."""
        unwanted = ", ".join(map(str, sorted({*self._erased, *(line - 2 for line in lines)})))
        names = [*self._names.values(), *(REJECTED_COLUMNS if self.rejected else ())]
        values = [
            f"case when file_row_number not in ({unwanted}) then {name} end as {name}"
            for name in map(identifier, names)
        ]
        kept = {ERASED_METADATA: unwanted}
        if pull := self._metadata.get(PULL_METADATA):
            kept[PULL_METADATA] = pull.decode()
        metadata = ", ".join(f"{key.decode()}: {literal(text)}" for key, text in kept.items())
        duckdb.execute(
            f"copy (select {', '.join(values)} from {self._rows}) to {literal(str(to))} "
            f"(format parquet, kv_metadata {{{metadata}}})"
        )

    @property
    def _erased(self) -> tuple[int, ...]:
        return tuple(int(place) for place in re.findall(rb"\b\d{1,18}\b", self._metadata.get(ERASED_METADATA, b"")))

    @property
    def _rows(self) -> str:
        return parquet(self.path, "file_row_number = true")

    def _rejected(self) -> list[RejectedLine]:
        value, reason = REJECTED_COLUMNS
        found = duckdb.execute(
            f"select file_row_number + 2, left({value}, {VALUE_CHARACTERS}), {reason} from {self._rows} "
            f"where {reason} is not null order by 1"
        ).fetchall()
        return [RejectedLine(*row) for row in found]


def is_parquet(path: Path) -> bool:
    """Whether the file begins with Parquet's signature, whatever its name."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"
