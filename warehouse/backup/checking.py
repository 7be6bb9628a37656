"""Check a backup: every part against its checksum, and a restored copy of its lake against its manifest."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import duckdb

from warehouse.backup.manifest import Manifest
from warehouse.backup.store import Store, all_parts
from warehouse.errors import BackupError, LakeError, LoanlakeError
from warehouse.lake.connection import connect, current_snapshot, lake_exists
from warehouse.settings import Settings
from warehouse.sql.quoting import identifier


@dataclass(frozen=True)
class Damage:
    """Something that is not as the manifest says; ``path``: a file of the home, or a table."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def damaged_parts(store: Store, manifest: Manifest) -> dict[str, str]:
    """Parts that are missing or changed, with their problems; reads the whole backup once."""
    problems = {}
    for part in all_parts(manifest):
        try:
            store.read_part(part)
        except BackupError as error:
            problems[part] = str(error)
    return problems


def damaged_files(manifest: Manifest, parts: Mapping[str, str]) -> list[Damage]:
    """The files of these damaged parts."""
    return [Damage(file.path, parts[part]) for file in manifest.files for part in file.parts if part in parts]


def damaged_tables(settings: Settings, manifest: Manifest) -> list[Damage]:
    """Tables of a restored lake that cannot be read whole, or have another number of rows than the manifest says."""
    if manifest.lake_snapshot is None:
        return [Damage("lake", "the backup has none, and one was restored")] if lake_exists(settings) else []
    try:
        con = connect(settings)
    except LakeError as error:
        return [Damage("lake", str(error))]
    with closing(con):
        found = []
        if (snapshot := current_snapshot(con)) != manifest.lake_snapshot:
            found.append(Damage("lake", f"its snapshot must be {manifest.lake_snapshot}: found {snapshot}"))
        for table, n_rows in manifest.tables.items():
            try:
                n_found = _n_rows_read(con, table)
            except (duckdb.Error, LoanlakeError) as error:
                found.append(Damage(table, f"it cannot be read: {error}"))
                continue
            if n_found != n_rows:
                found.append(Damage(table, f"it must have {n_rows:,} rows: found {n_found:,}"))
        return found


def _n_rows_read(con: duckdb.DuckDBPyConnection, table: str) -> int:
    """The rows of a table of which every value was read: a count alone reads no column."""
    relation = identifier(*table.split(".", 1))
    con.execute(f"select count(columns(*)) from {relation}").fetchall()
    ((n_rows,),) = con.execute(f"select count(*) from (from {relation} where true)").fetchall()
    return int(n_rows)
