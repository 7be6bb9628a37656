"""A lender's files as tables of text in a temporary DuckDB file, read as ``loanlake ingest`` reads them."""

from collections.abc import Iterator
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
    """Fill a new table with a file's rows; raises SourceFileError for a file that ingest would refuse."""
    if not path.is_file():
        raise SourceFileError(f"{path} must be a file: found {'a folder' if path.is_dir() else 'nothing'} there")
    name = identifier(table)
    if is_parquet(path):
        parquet = ParquetFile(path, settings)
        con.execute(f"create table {name} as {parquet.select(parquet.columns)}")
        return
    file = CsvFile(path, limits=settings)
    refusal: list[SourceFileError] = []
    schema = pa.schema([*((column, pa.string()) for column in file.columns), ("_line", pa.int64())])
    rows = pa.RecordBatchReader.from_batches(schema, _batches(file, refusal))
    con.register("incoming", rows)
    try:
        con.execute(f"create table {name} as select * from incoming")
    except duckdb.Error:
        if refusal:
            raise refusal[0] from None
        raise


def _batches(file: CsvFile, refusal: list[SourceFileError]) -> Iterator[pa.RecordBatch]:
    # DuckDB wraps a reader's error in its own text: the message for the user is kept beside it
    try:
        yield from file.batches(file.columns)
    except SourceFileError as error:
        refusal.append(error)
        raise
