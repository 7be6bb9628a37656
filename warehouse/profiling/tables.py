"""A lender's files as tables of text in a temporary DuckDB file, read as ``loanlake ingest`` reads them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from warehouse.errors import SourceFileError
from warehouse.settings import Settings
from warehouse.sources.csv_file import CsvFile
from warehouse.sources.parquet_file import ParquetFile, is_parquet
from warehouse.sql.quoting import identifier


@contextmanager
def scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database on disk that is gone afterwards: a file larger than memory can be profiled."""
    with TemporaryDirectory() as folder, duckdb.connect(str(Path(folder) / "profile.duckdb")) as con:
        yield con


def load(con: duckdb.DuckDBPyConnection, path: Path, table: str, settings: Settings) -> None:
    """Add a file's rows to a table, which its first file creates.

    Raises SourceFileError for a file that ingest would refuse.
    """
    if not path.is_file():
        raise SourceFileError(f"{path} must be a file: found {'a folder' if path.is_dir() else 'nothing'} there")
    if is_parquet(path):
        parquet = ParquetFile(path, settings)
        _insert(con, table, parquet.columns, parquet.select(parquet.columns))
        return
    file = CsvFile(path, limits=settings)
    refusal: list[SourceFileError] = []
    schema = pa.schema([*((column, pa.string()) for column in file.columns), ("_line", pa.int64())])
    con.register("incoming", pa.RecordBatchReader.from_batches(schema, _batches(file, refusal)))
    try:
        _insert(con, table, file.columns, "select * from incoming")
    except duckdb.Error:
        if refusal:
            raise refusal[0] from None
        raise


def _insert(con: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], rows: str) -> None:
    name = identifier(table)
    con.execute(f"create table if not exists {name} (_line bigint)")
    for column in columns:
        con.execute(f"alter table {name} add column if not exists {identifier(column)} varchar")
    con.execute(f"insert into {name} by name {rows}")


def _batches(file: CsvFile, refusal: list[SourceFileError]) -> Iterator[pa.RecordBatch]:
    # DuckDB wraps a reader's error in its own text: the message for the user is kept beside it
    try:
        yield from file.batches(file.columns)
    except SourceFileError as error:
        refusal.append(error)
        raise
