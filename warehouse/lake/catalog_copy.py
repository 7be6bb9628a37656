"""Copy an embedded catalog while others read and write, in a separate process, and read what a catalog names.

In a separate process for the reason that :mod:`warehouse.lake.catalog_pages` gives: one copy of SQLite touches the
catalog in a process. SQLite's online backup reads one state of a WAL database; writers and readers do not wait for it.
"""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from warehouse.errors import LakeError
from warehouse.files.sqlite_copy import copy_sqlite
from warehouse.settings import REPOSITORY, Settings

#: Of all snapshots that the catalog keeps; a renamed table keeps its files' folder.
_FILES = """
    with tables as (
        select distinct tables.table_id, schemas.path as schema_path, schemas.path_is_relative as schema_is_relative,
            tables.path as table_path, tables.path_is_relative as table_is_relative
        from {within}ducklake_table as tables
        join {within}ducklake_schema as schemas using (schema_id)
    )
    select schema_path, schema_is_relative, table_path, table_is_relative, files.path, files.path_is_relative
    from (
        select table_id, path, path_is_relative from {within}ducklake_data_file
        union
        select table_id, path, path_is_relative from {within}ducklake_delete_file
    ) as files
    join tables using (table_id)
"""
_ROWS = """
    select schemas.schema_name || '.' || tables.table_name,
        coalesce((
            select sum(record_count) from ducklake_data_file as files
            where files.table_id = tables.table_id and files.end_snapshot is null
        ), 0) - coalesce((
            select sum(deletes.delete_count) from ducklake_delete_file as deletes
            join ducklake_data_file as files using (data_file_id)
            where deletes.table_id = tables.table_id and deletes.end_snapshot is null and files.end_snapshot is null
        ), 0)
    from ducklake_table as tables
    join ducklake_schema as schemas on schemas.schema_id = tables.schema_id and schemas.end_snapshot is null
    where tables.end_snapshot is null
    order by 1
"""


@dataclass(frozen=True)
class CopiedCatalog:
    """What a copy of a catalog names. ``files``: of all its snapshots, relative to the lake's data.

    ``rows``: by table, of the newest snapshot. ``of``: the file of an embedded one.
    """

    snapshot: int
    files: tuple[str, ...]
    rows: dict[str, int]
    of: Path | None = None


def copy_catalog(settings: Settings, to: Path) -> CopiedCatalog | None:
    """Copy this home's embedded catalog to a new file; None if there is none.

    Raises LakeError if it cannot be read, is damaged, or names files that are not below the lake's data.
    """
    if not settings.lake_catalog.exists():
        return None
    done = subprocess.run(  # noqa: S603  # this module, by this Python
        [sys.executable, "-m", "warehouse.lake.catalog_copy", str(settings.lake_catalog), str(to)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LakeError(
            f"the catalog {settings.lake_catalog} cannot be copied: {done.stderr.strip()[-500:] or 'killed'}"
        )
    return replace(_contents(to), of=settings.lake_catalog)


def _contents(copy: Path) -> CopiedCatalog:
    with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as catalog:
        return catalog_contents(lambda query: catalog.execute(query).fetchall())


def catalog_contents(rows_of: Callable[[str], list[Any]]) -> CopiedCatalog:
    """What a catalog on SQLite or PostgreSQL names; ``rows_of`` runs a query where its tables are found unqualified.

    Raises LakeError if it names files that are not below the lake's data.
    """
    ((snapshot,),) = rows_of("select max(snapshot_id) from ducklake_snapshot")
    rows = {name: int(n_rows) for name, n_rows in rows_of(_ROWS)}
    return CopiedCatalog(int(snapshot), tuple(sorted(named_files(rows_of))), rows)


def named_files(rows_of: Callable[[str], list[Any]], *, within: str = "") -> set[str]:
    """The data files of all snapshots of a catalog, relative to the lake's data; raises LakeError for others.

    ``within``: a prefix of the catalog's tables.
    """
    found = set()
    for *parts, name, is_relative in rows_of(_FILES.format(within=within)):
        if not (is_relative and parts[1] and parts[3]):
            raise LakeError(f"the data file {name} is not below the lake's data, so a backup does not reach it")
        found.add(f"{parts[0]}{parts[2]}{name}")
    return found


if __name__ == "__main__":
    copy_sqlite(Path(sys.argv[1]), Path(sys.argv[2]))
