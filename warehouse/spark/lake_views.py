"""The lake's raw tables as views in Spark's catalog, over the Parquet files of one snapshot."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import duckdb

from warehouse.errors import SparkError
from warehouse.lake.connection import current_snapshot
from warehouse.lake.data_files import TableFile, TableFiles, table_files
from warehouse.lake.tables import schemas_and_tables
from warehouse.lenders.rules import settings_text
from warehouse.settings import DBT_PROJECT_DIR

#: What programs write and staging models read, besides the schema raw.
_OTHERS = ("serving.reported_outcomes",)
#: View of the lenders' settings and of the snapshot that was read; macros/lenders.sql reads it.
SETTINGS_VIEW = "raw.lender_settings"
_TYPES = {
    "BIGINT": "bigint",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DOUBLE": "double",
    "INTEGER": "int",
    "TIMESTAMP": "timestamp_ntz",
    "VARCHAR": "string",
}


def view_statements(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Spark SQL that makes the views of the lake's raw tables, as they are at the connection's snapshot."""
    _, tables = schemas_and_tables(con)
    read = sorted(table for table in tables if table.startswith("raw.") or table in _OTHERS)
    for schema in sorted({table.partition(".")[0] for table in read}):
        yield f"create schema if not exists {schema}"
    for table in read:
        yield view_statement(table_files(con, table))
    settings = _text(settings_text(DBT_PROJECT_DIR))
    yield (
        f"create or replace view {SETTINGS_VIEW} as "
        f"select {settings} as settings, cast({current_snapshot(con)} as bigint) as lake_snapshot"
    )


def view_statement(table: TableFiles) -> str:
    """One view. Files of the same columns are read together; deleted rows are left out by their place in the file.

    >>> file = TableFile("/lake/a.parquet", {"n": "n"}, deletions=None)
    >>> print(view_statement(TableFiles("raw.loans", {"n": "BIGINT", "name": "VARCHAR"}, [file])))
    create or replace view raw.loans as
    select `n`, cast(null as string) as `name` from parquet.`/lake/a.parquet`
    """
    for column, data_type in table.columns.items():
        if data_type not in _TYPES:
            raise SparkError(f"{table.table}.{column} must be of a type {', '.join(_TYPES)}: found {data_type}")

    def how(file: TableFile) -> tuple[list[tuple[str, str]], str, str]:
        return sorted(file.names.items()), file.deletions or "", _directory(file.path)

    parts = [_select(table.columns, list(files)) for _, files in groupby(sorted(table.files, key=how), key=how)]
    nothing = f"select {', '.join(_column(name, None, table.columns[name]) for name in table.columns)} where false"
    return f"create or replace view {table.table} as\n" + "\nunion all\n".join(parts or [nothing])


def _select(columns: Mapping[str, str], files: Sequence[TableFile]) -> str:
    chosen = ", ".join(_column(name, files[0].names.get(name), data_type) for name, data_type in columns.items())
    directory, names = _directory(files[0].path), [_escaped(file.path.rpartition("/")[2]) for file in files]
    pattern = f"{_escaped(directory)}/{names[0] if len(names) == 1 else '{' + ','.join(names) + '}'}"
    rows = f"select {chosen} from parquet.{_quoted(pattern)}"
    if files[0].deletions is None:
        return rows
    deleted = f"select pos from parquet.{_quoted(_escaped(files[0].deletions))}"
    return f"{rows} where _metadata.row_index not in ({deleted})"


def _column(name: str, written: str | None, data_type: str) -> str:
    if written is None:
        return f"cast(null as {_TYPES[data_type]}) as {_quoted(name)}"
    return _quoted(name) if written == name else f"{_quoted(written)} as {_quoted(name)}"


def _directory(path: str) -> str:
    return path.rpartition("/")[0]


def _escaped(path: str) -> str:
    """A path in which no character is one of a pattern."""
    return "".join(f"\\{character}" if character in "\\{}[],*?" else character for character in path)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
