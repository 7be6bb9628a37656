"""Check that the data files of the lake's newest state exist, each with the size in its catalog."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.lake.catalog_copy import named_files
from warehouse.lake.tables import METADATA
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
