"""A Parquet file: its columns, and the query that reads them as text."""

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
from warehouse.readers.table_file import FileLayout, RejectedLine
from warehouse.sql.quoting import identifier, literal

_BATCH_ROWS = 20_000


@dataclass
class ParquetFile:
    """A Parquet file with its raw column names; raises SourceFileError if it is damaged or repeats a name."""

    path: Path
    limits: InitVar[Limits | None] = None
    columns: tuple[str, ...] = field(init=False)
    n_rows: int = field(init=False)
    layout: FileLayout = field(init=False, default=FileLayout("parquet"))
    #: None: every row of it is one.
    rejected: list[RejectedLine] = field(init=False, default_factory=list)
    _names: dict[str, str] = field(init=False)

    def __post_init__(self, limits: Limits | None) -> None:
        try:
            with pq.ParquetFile(self.path) as file:
                names, self.n_rows = file.schema_arrow.names, file.metadata.num_rows
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
        rows = parquet(self.path, "file_row_number = true")
        return f"select {', '.join(texts)}, file_row_number + 2 as _line from {rows}"

    def rejected_field(self, column: str) -> None:
        """It has no rejected lines."""

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
        """Write the file to ``to`` with only nulls in the rows of ``lines``; other rows keep their line."""
        unwanted = ", ".join(str(line - 2) for line in sorted(lines))
        values = [
            f"case when file_row_number not in ({unwanted}) then {name} end as {name}"
            for name in map(identifier, self._names.values())
        ]
        rows = parquet(self.path, "file_row_number = true")
        duckdb.execute(f"copy (select {', '.join(values)} from {rows}) to {literal(str(to))} (format parquet)")


def is_parquet(path: Path) -> bool:
    """Whether the file begins with Parquet's signature, whatever its name."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"
