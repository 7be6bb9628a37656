"""The lake's upkeep as a step: merge, expire, clean up."""

import dagster as dg

from orchestration.layers import LAKE_WRITER, MAINTENANCE
from warehouse.settings import Settings


@dg.asset(key=MAINTENANCE, group_name="maintenance", kinds={"duckdb"}, pool=LAKE_WRITER)
def lake_maintenance() -> dg.MaterializeResult[None]:
    """Small files merged, snapshots expired that are older than the retention and that no live model names."""
    from orchestration.maintenance import maintain_lake

    done, kept = maintain_lake(Settings.from_environment())
    return dg.MaterializeResult(
        metadata={
            "summary": f"{done.n_snapshots_expired:,} snapshots expired, {done.n_files_deleted:,} files deleted",
            "files_merged": done.n_files_merged,
            "files_rewritten": done.n_files_rewritten,
            "snapshots_expired": done.n_snapshots_expired,
            "snapshots": done.n_snapshots,
            "snapshots_kept_for_use": {str(snapshot): why for snapshot, why in kept.items()},
            "files_deleted": done.n_files_deleted,
            "orphaned_files_deleted": done.n_orphans_deleted,
            "seconds": round(done.seconds, 2),
        }
    )
