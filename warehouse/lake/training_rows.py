"""Where to read the training rows of a snapshot: in the snapshot, or in a copy that an erasure kept.

A snapshot cannot be changed, only expired. For each named snapshot with the person's rows, an erasure copies the other
training rows to a table (``training.trn_default_v2_at_57``), so that models can still be compared, scored and
inspected. The snapshot then expires after the retention.
"""

import re
from collections.abc import Collection

import duckdb

from warehouse.lake.connection import CATALOG
from warehouse.lake.feature_tables import training_version

_KEPT = re.compile(r"(?P<table>trn_default_v\w+)_at_(?P<snapshot>\d+)")


def rows_at(con: duckdb.DuckDBPyConnection, table: str, snapshot: int) -> str:
    """SQL of the relation with a training table's (``training.trn_default_v2``) rows as of a snapshot."""
    if is_kept(con, table, snapshot):
        return kept_table(table, snapshot)
    return f"{table} at (version => {snapshot:d})"


def kept_table(table: str, snapshot: int) -> str:
    """The name of the table for kept rows of a snapshot; it may not exist."""
    return f"{table}_at_{snapshot:d}"


def is_kept(con: duckdb.DuckDBPyConnection, table: str, snapshot: int) -> bool:
    """Whether a training table's rows as of a snapshot were kept by an erasure."""
    return kept_table(table, snapshot).partition(".")[2] in _tables(con)


def kept_snapshots(con: duckdb.DuckDBPyConnection) -> set[int]:
    """Snapshots whose training rows an erasure kept: they are no longer read from the snapshot."""
    return {int(found["snapshot"]) for table in _tables(con) if (found := _KEPT.fullmatch(table))}


def training_tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The training tables of all versions of the features."""
    return [f"training.{table}" for table in sorted(_tables(con)) if training_version(table) is not None]


def drop_unnamed(con: duckdb.DuckDBPyConnection, named: Collection[int]) -> None:
    """Drop the kept rows of snapshots that are no longer named; ``con`` is a writer's."""
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
