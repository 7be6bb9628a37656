"""A lender's files as tables of text in a temporary DuckDB file, read as ``loanlake ingest`` reads them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from warehouse.errors import SourceFileError
from warehouse.lenders.files import FileSettings
from warehouse.lenders.keys import read_keys
from warehouse.readers.opening import open_table
from warehouse.readers.table_file import FileLayout, TableFile
from warehouse.settings import Settings
from warehouse.sql.quoting import identifier

_KEYS = ("encoding", "delimiter", "title_lines", "sheet")
_USUAL = ("utf-8", ",", 0)


@contextmanager
def scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database on disk that is gone afterwards: a file larger than memory can be profiled."""
    with TemporaryDirectory() as folder, duckdb.connect(str(Path(folder) / "profile.duckdb")) as con:
        yield con


def declared_layout(entity: str, layouts: Mapping[str, str]) -> FileSettings:
    """What ``ENTITY.KEY`` → value says of a kind of file; raises SettingError for an unknown key or a wrong value."""
    said = {key.partition(".")[2]: value for key, value in layouts.items() if key.partition(".")[0] == entity}
    values = {key: int(value) if value.isdecimal() else value for key, value in said.items()}
    return read_keys(FileSettings, values, f"--layout {entity}")


def unusual(layout: FileLayout) -> dict[str, str | int]:
    """How a file was read, as keys of the lender's file, without what is found again and usual."""
    found = {key: getattr(layout, key) for key in _KEYS}
    return {key: value for key, value in found.items() if value not in (None, *_USUAL)}


def load(
    con: duckdb.DuckDBPyConnection, path: Path, table: str, declared: FileSettings, settings: Settings
) -> FileLayout:
    """Add a file's rows to a table, which its first file creates; returns how the file was read.

    Raises SourceFileError for a file that ingest would refuse.
    """
    if not path.is_file():
        raise SourceFileError(f"{path} must be a file: found {'a folder' if path.is_dir() else 'nothing'} there")
    file = open_table(path, declared, limits=settings)
    refusal: list[SourceFileError] = []
    schema = pa.schema([*((column, pa.string()) for column in file.columns), ("_line", pa.int64())])
    con.register("incoming", pa.RecordBatchReader.from_batches(schema, _batches(file, refusal)))
    try:
        _insert(con, table, file.columns)
    except duckdb.Error:
        if refusal:
            raise refusal[0] from None
        raise
    return file.layout


def _insert(con: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str]) -> None:
    name = identifier(table)
    con.execute(f"create table if not exists {name} (_line bigint)")
    for column in columns:
        con.execute(f"alter table {name} add column if not exists {identifier(column)} varchar")
    con.execute(f"insert into {name} by name select * from incoming")


def _batches(file: TableFile, refusal: list[SourceFileError]) -> Iterator[pa.RecordBatch]:
    # DuckDB wraps a reader's error in its own text: the message for the user is kept beside it
    try:
        yield from file.batches(file.columns)
    except SourceFileError as error:
        refusal.append(error)
        raise
