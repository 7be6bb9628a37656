"""The lake's data files: those that its newest state has lost, and those of a table, for other engines to read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.errors import LakeError
from warehouse.lake.catalog_copy import named_files
from warehouse.lake.tables import CATALOG, METADATA
from warehouse.settings import Settings


@dataclass(frozen=True)
class LostFile:
    """A missing or truncated data file; ``table`` is ``schema.table``."""

    table: str
    path: str
    n_bytes: int
    n_bytes_found: int | None

    def __str__(self) -> str:
        found = "it is missing" if self.n_bytes_found is None else f"found {self.n_bytes_found:,} bytes"
        return f"{self.table}: {self.path} must have {self.n_bytes:,} bytes, {found}"


def needed_files(con: duckdb.DuckDBPyConnection) -> set[str]:
    """The data files of all snapshots that the lake keeps, relative to its data; raises LakeError for one elsewhere."""
    return named_files(lambda query: con.execute(query).fetchall(), within=f"{METADATA}.")


def lost_files(con: duckdb.DuckDBPyConnection, settings: Settings) -> list[LostFile]:
    """Files missing or of the wrong size, the only damage detected; none in an object store, which checks its own."""
    if "://" in settings.lake_data:
        return []
    found = con.execute(
        f"""
        select schemas.schema_name || '.' || tables.table_name, schemas.path, schemas.path_is_relative,
            tables.path, tables.path_is_relative, files.path, files.path_is_relative, files.file_size_bytes
        from (
            select table_id, path, path_is_relative, file_size_bytes
            from {METADATA}.ducklake_data_file where end_snapshot is null
            union all
            select table_id, path, path_is_relative, file_size_bytes
            from {METADATA}.ducklake_delete_file where end_snapshot is null
        ) as files
        join {METADATA}.ducklake_table as tables on tables.table_id = files.table_id and tables.end_snapshot is null
        join {METADATA}.ducklake_schema as schemas
            on schemas.schema_id = tables.schema_id and schemas.end_snapshot is null
        order by 1, 6"""
    ).fetchall()
    lost = []
    for table, *parts, n_bytes in found:
        place = Path(settings.lake_data)
        for path, is_relative in zip(parts[::2], parts[1::2], strict=True):
            place = place / path if is_relative else Path(path)
        n_bytes_found = place.stat().st_size if place.exists() else None
        if n_bytes_found != n_bytes:
            lost.append(LostFile(table, str(place), int(n_bytes), n_bytes_found))
    return lost


@dataclass(frozen=True)
class TableFile:
    """One data file. ``names``: the table's column → its name in this file; a column without one is null in its rows.

    ``deletions``: the Parquet file whose column ``pos`` has the places of the deleted rows, from 0.
    """

    path: str
    names: Mapping[str, str]
    deletions: str | None


@dataclass(frozen=True)
class TableFiles:
    """A table at the connection's snapshot: its columns' DuckDB types in order, and its files."""

    table: str
    columns: Mapping[str, str]
    files: Sequence[TableFile]


def table_files(con: duckdb.DuckDBPyConnection, table: str) -> TableFiles:
    """The files of ``schema.table``; raises LakeError where its rows are not all in plain Parquet files."""
    schema, _, name = table.partition(".")
    columns = con.execute(
        f"""
        select columns.column_id, columns.column_name, described.data_type, tables.table_id
        from {METADATA}.ducklake_column as columns
        join {METADATA}.ducklake_table as tables on tables.table_id = columns.table_id and tables.end_snapshot is null
        join {METADATA}.ducklake_schema as schemas
            on schemas.schema_id = tables.schema_id and schemas.end_snapshot is null
        join duckdb_columns() as described
            on described.database_name = '{CATALOG}' and described.schema_name = schemas.schema_name
            and described.table_name = tables.table_name and described.column_name = columns.column_name
        where schemas.schema_name = $1 and tables.table_name = $2
            and columns.end_snapshot is null and columns.parent_column is null
        order by columns.column_order""",
        [schema, name],
    ).fetchall()
    if not columns:
        raise LakeError(f"the lake has no table {table}")
    _require_no_inlined_rows(con, table, columns[0][3])
    listed = con.execute(
        "select data_file, delete_file, data_file_encryption_key is not null "
        f"from ducklake_list_files('{CATALOG}', $1, schema => $2) order by data_file",
        [name, schema],
    ).fetchall()
    if any(is_encrypted for _, _, is_encrypted in listed):
        raise LakeError(f"{table}: its data files are encrypted, and only DuckDB has their keys")
    written = _columns_of_files(con, [path for path, _, _ in listed])
    names = {column_id: column for column_id, column, _, _ in columns}
    return TableFiles(
        table,
        {column: data_type for _, column, data_type, _ in columns},
        [TableFile(path, _names(written[path], names), deletions) for path, deletions, _ in listed],
    )


def _names(written: Sequence[tuple[str, int | None]], columns: Mapping[int, str]) -> dict[str, str]:
    """Table column → column of the file: by field id as DuckLake reads it, by name in a file that has no ids."""
    return {
        columns[field_id] if field_id is not None else name: name
        for name, field_id in written
        if field_id in columns or (field_id is None and name in columns.values())
    }


def _columns_of_files(con: duckdb.DuckDBPyConnection, paths: list[str]) -> dict[str, list[tuple[str, int | None]]]:
    found: dict[str, list[tuple[str, int | None]]] = {path: [] for path in paths}
    if paths:
        rows = con.execute(
            "select file_name, name, field_id from parquet_schema($1) where num_children is null", [paths]
        ).fetchall()
        for path, name, field_id in rows:
            found[path].append((name, field_id))
    return found


def _require_no_inlined_rows(con: duckdb.DuckDBPyConnection, table: str, table_id: int) -> None:
    inlined = con.execute(
        f"select count(*) from {METADATA}.ducklake_inlined_data_tables where table_id = $1", [table_id]
    ).fetchone()
    if inlined and inlined[0]:
        raise LakeError(
            f"{table}: some of its rows may be in the lake's catalog, and not in Parquet files: no other engine "
            f"would see them; call ducklake_flush_inlined_data('{CATALOG}') once, in a client that writes to the lake"
        )
