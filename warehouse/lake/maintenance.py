"""Keep the lake small: drop deleted rows, merge small files, expire old snapshots, delete unused files.

Holds the writer lease; readers continue. Merging and rewriting change no row of any snapshot. Unneeded data files stay
for a grace time, since a running query may still read them.
"""

import time
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from warehouse.errors import LakeError
from warehouse.lake.catalog_pages import give_free_pages_back
from warehouse.lake.connection import CATALOG, connect, lake_exists, lease
from warehouse.lake.tables import METADATA
from warehouse.lake.training_rows import drop_unnamed, kept_snapshots
from warehouse.settings import Settings

#: A file is rewritten when this share of its rows has been deleted.
REWRITE_SHARE = 0.3


@dataclass(frozen=True)
class Maintained:
    """The work done by maintenance. ``n_kept_for_use``: snapshots kept beyond the retention because they are named."""

    n_files_merged: int
    n_files_rewritten: int
    n_snapshots_expired: int
    n_snapshots: int
    n_kept_for_use: int
    n_files_deleted: int
    n_orphans_deleted: int
    seconds: float


def maintain(
    settings: Settings,
    *,
    named_snapshots: Callable[[], Collection[int]] = frozenset,
    retention: timedelta,
    grace: timedelta,
) -> Maintained:
    """Rewrite, merge, expire and clean up, in this order; idempotent.

    Every state of the lake within the longer of ``retention`` and ``grace`` stays readable: a snapshot's age counts
    from when it stopped being the newest. Older ones stay if ``named_snapshots`` (called under the lease) returns them,
    unless an erasure kept their training rows elsewhere (``warehouse.lake.training_rows``). DuckLake 1.0 returns empty
    tables to an open transaction whose snapshot has expired: transactions must be shorter than that.

    Files that only expired snapshots, or no snapshot, use are deleted ``grace`` after that, or up to a day later. Zero
    deletes them immediately and frees unused catalog pages: use it only while no process reads. Raises LakeBusyError if
    one does; everything except the pages is complete by then.
    """
    if not lake_exists(settings):
        raise LakeError(f"there is no lake at {settings.lake_catalog} to maintain: `loanlake ingest` makes one")
    started = time.monotonic()
    with lease("maintain", settings):
        with closing(connect(settings, read_only=False)) as con:
            n_rewritten = _files_processed(
                con, f"ducklake_rewrite_data_files('{CATALOG}', delete_threshold => {REWRITE_SHARE})"
            )
            # second: DuckLake does not merge files with deleted rows
            n_merged = _files_processed(con, f"ducklake_merge_adjacent_files('{CATALOG}')")
            named = set(named_snapshots())
            drop_unnamed(con, named)
            named -= kept_snapshots(con)
            old = superseded_before(con, datetime.now(UTC) - max(retention, grace))
            if expired := sorted(old - named):
                con.execute(f"call ducklake_expire_snapshots('{CATALOG}', versions => {expired})")
            _forget_inlined_rows(con)
            n_deleted = len(_call(con, f"ducklake_cleanup_old_files('{CATALOG}', {_until(grace)})"))
            n_orphans = len(_call(con, f"ducklake_delete_orphaned_files('{CATALOG}', {_until(grace)})"))
            n_snapshots = len(_call(con, f"ducklake_snapshots('{CATALOG}')"))
        if not grace:
            give_free_pages_back(settings)
    return Maintained(
        n_files_merged=n_merged,
        n_files_rewritten=n_rewritten,
        n_snapshots_expired=len(expired),
        n_snapshots=n_snapshots,
        n_kept_for_use=len(old & named),
        n_files_deleted=n_deleted,
        n_orphans_deleted=n_orphans,
        seconds=time.monotonic() - started,
    )


def superseded_before(con: duckdb.DuckDBPyConnection, moment: datetime) -> set[int]:
    """Snapshots that were superseded before ``moment``; never the newest."""
    rows = con.execute(
        "select snapshot_id from (select snapshot_id, lead(snapshot_time) over (order by snapshot_id) as superseded_at "
        f"from ducklake_snapshots('{CATALOG}')) where superseded_at < $1",
        [moment],
    )
    return {int(snapshot) for (snapshot,) in rows.fetchall()}


def _until(grace: timedelta) -> str:
    """The age limit for DuckLake 1.0; its text comparison in SQLite includes the whole day, so name the day before."""
    if not grace:
        return "cleanup_all => true"
    day = (datetime.now(UTC) - grace).replace(hour=0, minute=0, second=0, microsecond=0)
    return f"older_than => timestamptz '{day - timedelta(microseconds=1)}'"


def _forget_inlined_rows(con: duckdb.DuckDBPyConnection) -> None:
    """Delete rows inlined in the catalog that no snapshot can see: expiring leaves them there forever."""
    for (table,) in con.execute(f"select table_name from {METADATA}.ducklake_inlined_data_tables").fetchall():
        con.execute(
            f"delete from {METADATA}.{table} where end_snapshot is not null and not exists ("
            f"from {METADATA}.ducklake_snapshot as kept "
            f"where kept.snapshot_id >= {table}.begin_snapshot and kept.snapshot_id < {table}.end_snapshot)"
        )


def _files_processed(con: duckdb.DuckDBPyConnection, function: str) -> int:
    return sum(row[2] for row in _call(con, function))  # schema, table, files processed, files created


def _call(con: duckdb.DuckDBPyConnection, function: str) -> list[tuple[Any, ...]]:
    # `call`, not `select`: `select sum(…) from ducklake_merge_adjacent_files(…)` commits nothing
    return con.execute(f"call {function}").fetchall()
