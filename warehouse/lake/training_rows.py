"""Where the training rows of a snapshot are read: in the snapshot, or in what an erasure kept of them.

A snapshot cannot be changed, only expired. So that a model which names one can go on being compared, scored with and
looked into, an erasure copies the training rows of each named snapshot that holds the person, without them, into a
table of its own: ``training.trn_default_v2_at_57``. The snapshot then goes when the retention lets it.
"""

import re
from collections.abc import Collection

import duckdb

from warehouse.lake.connection import CATALOG

_KEPT = re.compile(r"(?P<table>trn_default_v\d+)_at_(?P<snapshot>\d+)")


def rows_at(con: duckdb.DuckDBPyConnection, table: str, snapshot: int) -> str:
    """SQL of the relation with the rows of a training table (``training.trn_default_v2``) as of a snapshot."""
    if is_kept(con, table, snapshot):
        return kept_table(table, snapshot)
    return f"{table} at (version => {snapshot:d})"


def kept_table(table: str, snapshot: int) -> str:
    """The table that keeps a training table's rows of a snapshot, whether or not there is one."""
    return f"{table}_at_{snapshot:d}"


def is_kept(con: duckdb.DuckDBPyConnection, table: str, snapshot: int) -> bool:
    """Whether rows of persons were erased from a training table as of a snapshot."""
    return kept_table(table, snapshot).partition(".")[2] in _tables(con)


def kept_snapshots(con: duckdb.DuckDBPyConnection) -> set[int]:
    """Snapshots whose training rows were kept without erased persons: they are no longer read from the snapshot."""
    return {int(found["snapshot"]) for table in _tables(con) if (found := _KEPT.fullmatch(table))}


def training_tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The training tables of all versions of the features."""
    return [f"training.{table}" for table in sorted(_tables(con)) if re.fullmatch(r"trn_default_v\d+", table)]


def drop_unnamed(con: duckdb.DuckDBPyConnection, named: Collection[int]) -> None:
    """Drop what was kept of snapshots that nothing names any more; ``con`` is a writer's."""
    for table in sorted(_tables(con)):
        found = _KEPT.fullmatch(table)
        if found and int(found["snapshot"]) not in named:
            con.execute(f"drop table training.{table}")


def _tables(con: duckdb.DuckDBPyConnection) -> set[str]:
    rows = con.execute(
        "select table_name from information_schema.tables where table_catalog = $1 and table_schema = 'training' "
        "and table_type = 'BASE TABLE'",
        [CATALOG],
    )
    return {name for (name,) in rows.fetchall()}
