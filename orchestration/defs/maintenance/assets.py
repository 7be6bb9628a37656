"""Maintenance of the home as a step: merge, expire, clean up, prune."""

import dagster as dg

from orchestration.defs.maintenance.upkeep import maintain_home
from orchestration.lib.layers import LAKE_WRITER, MAINTENANCE
from warehouse.settings import Settings


@dg.asset(key=MAINTENANCE, group_name="maintenance", kinds={"duckdb"}, pool=LAKE_WRITER)
def lake_maintenance() -> dg.MaterializeResult[None]:
    """Merges small files, expires old snapshots that no live model names, and prunes the API's decision log."""
    upkeep = maintain_home(Settings.from_environment())
    done, log = upkeep.lake, upkeep.log
    return dg.MaterializeResult(
        metadata={
            "summary": f"{done.n_snapshots_expired:,} snapshots expired, {done.n_files_deleted:,} files deleted, "
            f"{log.n_entries:,} logged entries pruned",
            "files_merged": done.n_files_merged,
            "files_rewritten": done.n_files_rewritten,
            "snapshots_expired": done.n_snapshots_expired,
            "snapshots": done.n_snapshots,
            "snapshots_kept_for_use": {str(snapshot): why for snapshot, why in upkeep.kept.items()},
            "files_deleted": done.n_files_deleted,
            "orphaned_files_deleted": done.n_orphans_deleted,
            "log_entries_pruned": log.n_entries,
            "log_bytes_given_back": log.n_bytes,
            "log_entries_missing_in_lake": log.n_missing,
            "seconds": round(done.seconds, 2),
        }
    )
