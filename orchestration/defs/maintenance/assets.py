"""Maintenance and backup of the home as steps."""

import os

import dagster as dg

from orchestration.defs.maintenance.upkeep import maintain_home
from orchestration.lib.layers import BACKUP, LAKE_WRITER, MAINTENANCE
from warehouse.backup.options import BackupOptions
from warehouse.errors import SettingError
from warehouse.settings import Settings, read


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


@dg.asset(key=BACKUP, group_name="maintenance", kinds={"python"})
def home_backup() -> dg.MaterializeResult[None]:
    """Backs up the home to LOANLAKE_BACKUP_TARGET, and deletes old backups; nothing waits for it."""
    from warehouse.backup.creating import create_backup
    from warehouse.backup.store import open_store

    options = BackupOptions(**read(BackupOptions, os.environ))
    if options.backup_target is None:
        raise SettingError("a backup needs a place: set LOANLAKE_BACKUP_TARGET to a folder or s3://bucket/prefix")
    store = open_store(options.backup_target, options.backup_key, create=True)
    made = create_backup(Settings.from_environment(), store, keep=options.backup_keep)
    manifest = made.manifest
    return dg.MaterializeResult(
        metadata={
            "summary": f"{manifest.backup_id}: {manifest.n_bytes / 1e6:,.1f} MB, of which "
            f"{made.n_bytes_written / 1e6:,.1f} MB were copied",
            "backup": manifest.backup_id,
            "files": len(manifest.files),
            "bytes": manifest.n_bytes,
            "bytes_copied": made.n_bytes_written,
            "lake_snapshot": manifest.lake_snapshot,
            "tries": made.n_tries,
            "deleted_backups": list(made.pruned),
            "links_left_out": [str(link) for link in made.links],
            "seconds": round(made.seconds, 2),
        }
    )
