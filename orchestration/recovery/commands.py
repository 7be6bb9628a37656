"""``loanlake backup``, ``backup list``, ``verify``, ``drill`` and ``erasures``, and ``loanlake restore``."""

import getpass
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.errors import SettingError
from warehouse.settings import Settings, read

if TYPE_CHECKING:
    from warehouse.backup.checking import Damage
    from warehouse.backup.store import Store

_target = click.argument("target", required=False)
_backup_id = click.option("--at", "backup_id", metavar="ID", help="The backup; the newest without it.")
_decisions = click.option(
    "--decisions",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="How many of the newest decisions to replay.",
)


class _Backup(click.Group):
    """``backup TARGET`` makes a backup, ``backup verify TARGET`` and the others are commands of their own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["create", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Backup)
def backup() -> None:
    """Back up the home; list, check and rehearse backups.

    `loanlake backup TARGET` is short for `loanlake backup create TARGET`.
    """


@backup.command()
@_target
@click.option("--keep", type=click.IntRange(min=1), help="Delete all but the newest backups of the target, this many.")
def create(*, target: str | None, keep: int | None) -> None:
    """Back up the home to TARGET while everything runs.

    TARGET is a folder or s3://bucket/prefix; LOANLAKE_BACKUP_TARGET without it. Only what the target lacks is copied.
    LOANLAKE_BACKUP_KEY encrypts it. Nothing waits for a backup. An interrupted backup leaves nothing that could be
    taken for a backup; the next one uses what it copied.

    \b
        loanlake backup /mnt/backups/loanlake
        loanlake backup --keep 30
        loanlake backup create s3://bank-backups/loanlake
    """
    from warehouse.backup.creating import create_backup

    settings, store = Settings.from_environment(), _store(target, create=True)
    made = create_backup(settings, store, keep=keep)
    manifest = made.manifest
    click.echo(
        f"{manifest.backup_id}: {len(manifest.files):,} files, {manifest.n_bytes / 1e6:,.1f} MB, of which "
        f"{made.n_bytes_written / 1e6:,.1f} MB were copied to {store.target} in {made.seconds:.1f} s"
    )
    if made.n_tries > 1:
        click.echo(f"the home changed meanwhile: it took {made.n_tries} tries")
    if made.links:
        click.echo(
            f"not in the backup: what {len(made.links)} symbolic links of the home lead to, such as {made.links[0]}; "
            "back that up too, or move it into the home",
            err=True,
        )
    if made.pruned:
        click.echo(f"deleted: {', '.join(made.pruned)}")


@backup.command("list")
@_target
def list_backups(*, target: str | None) -> None:
    """List the complete backups in TARGET."""
    store = _store(target)
    ids = store.backup_ids()
    for backup_id in ids:
        manifest = store.manifest(backup_id)
        click.echo(
            f"{backup_id}  {manifest.n_bytes / 1e6:>10,.1f} MB  {len(manifest.files):>7,} files  "
            f"lake snapshot {manifest.lake_snapshot}  {manifest.home}"
        )
    if not ids:
        click.echo(f"no complete backup in {store.target}")


@backup.command()
@_target
@_backup_id
@_decisions
def verify(*, target: str | None, backup_id: str | None, decisions: int) -> None:
    """Check a backup: checksums, tables, training sets, decisions.

    Reads every part, opens the lake in a temporary home, counts the rows of each table, compares the training sets of
    served models with their hash, and replays decisions. Exit code 1: something is damaged; each is named. A damaged
    piece is moved to damaged/ in TARGET: the next `loanlake backup` copies it again, if the home still has it.
    """
    from orchestration.recovery.verifying import verify as check

    store = _store(target)
    manifest = store.manifest(backup_id)
    found = check(Settings.from_environment(), store, manifest, n_decisions=decisions)
    click.echo(
        f"{manifest.backup_id}: {len(manifest.files):,} files, {found.n_tables:,} tables, {found.n_replayed:,} "
        f"decisions replayed to the bit, {found.seconds:.1f} s"
    )
    if found.n_set_aside:
        click.echo(
            f"{found.n_set_aside:,} damaged pieces were moved to damaged/ in {store.target}; back up now: what the "
            "home still has of them is copied again",
            err=True,
        )
    _conclude(found.training_sets, found.damages)


@backup.command()
@_target
@_backup_id
@_decisions
@click.option(
    "--to", type=click.Path(path_type=Path), help="Keep the restored home here; a temporary folder without it."
)
def drill(*, target: str | None, backup_id: str | None, decisions: int, to: Path | None) -> None:
    """Rehearse a recovery into another home, and measure it.

    Restores the backup as `loanlake restore` does, beside the running home, which is not touched. Then checks it as
    `verify` does. Prints what a loss now would lose, and how long the restore took. Exit code 1: something is damaged.
    """
    from orchestration.recovery.restoring import restore as restore_home
    from orchestration.recovery.verifying import drill as rehearse

    settings, store = Settings.from_environment(), _store(target)
    manifest = store.manifest(backup_id)
    if to is not None and manifest.is_of_team:
        raise SettingError(
            f"--to keeps a restored home, and {manifest.backup_id} is of a team, whose database is dropped after the "
            "drill: leave out --to, or restore it into a database of its own with `loanlake restore`"
        )
    place = Path(tempfile.mkdtemp(prefix="loanlake-drill-")) if to is None else to

    def restore_there(own: Settings) -> float:
        return restore_home(own, store, manifest, by=getpass.getuser(), say=click.echo).seconds

    try:
        found = rehearse(settings, manifest, restore_there, to=(place / "home").resolve(), n_decisions=decisions)
    finally:
        if to is None:
            shutil.rmtree(place, ignore_errors=True)
    click.echo(f"a loss now would lose {found.lost_seconds:,.0f} s of decisions that only this home has")
    click.echo(f"the home was restored in {found.restore_seconds:.1f} s, and checked in {found.check_seconds:.1f} s")
    click.echo(f"{found.n_replayed:,} decisions replayed to the bit")
    _conclude(found.training_sets, found.damages)


@backup.command()
@_target
@_backup_id
def repair(*, target: str | None, backup_id: str | None) -> None:
    """Put back damaged or missing data files of the lake.

    Reads every data file that the backup has too, and replaces those that differ: a data file never changes, so the
    backup's is right, however old. No table changes otherwise, and nothing has to be stopped. Exit code 1: files
    younger than the backup are missing or cut short; each is named.
    """
    from warehouse.backup.repairing import repair_data_files

    store = _store(target)
    manifest = store.manifest(backup_id)
    repaired, left = repair_data_files(Settings.from_environment(), store, manifest)
    for path in repaired:
        click.echo(f"repaired: {path}")
    click.echo(f"{len(repaired):,} data files were damaged or missing, and are as in {manifest.backup_id}")
    for line in left:
        click.echo(f"still damaged: {line}", err=True)
    if left:
        raise click.exceptions.Exit(1)


@backup.command()
@_target
def erasures(*, target: str | None) -> None:
    """Erase again, in a restored home, who was erased since.

    `loanlake restore` does this. Repeat it after the first build in the restored home: a person whose files were loaded
    before the backup, and built after it, is known by then.
    """
    from orchestration.recovery.restoring import erase_again

    n_erased = erase_again(Settings.from_environment(), _store(target), by=getpass.getuser())
    click.echo(f"{n_erased:,} persons of the list were still there, and are erased")


@click.command()
@_target
@_backup_id
def restore(*, target: str | None, backup_id: str | None) -> None:
    """Restore a backup from TARGET into an empty home.

    LOANLAKE_HOME names the home; it may be at another place than before. Persons who were erased after the backup are
    erased again. The online store is filled from the lake. Stop all services first; if it is interrupted, repeat it.

    \b
        LOANLAKE_HOME=/srv/loanlake loanlake restore /mnt/backups/loanlake
        loanlake restore s3://bank-backups/loanlake --at 20261201T021500-123Z
    """
    from orchestration.recovery.restoring import restore as restore_home

    settings, store = Settings.from_environment(), _store(target)
    done = restore_home(settings, store, store.manifest(backup_id), by=getpass.getuser(), say=click.echo)
    click.echo(
        f"restored to {settings.home} in {done.seconds:.1f} s: everything until "
        f"{done.manifest.started_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    if done.n_copied:
        click.echo(f"{done.n_copied:,} later entries of the decision log are from its second copy")
    if done.n_runs_ended:
        click.echo(f"{done.n_runs_ended:,} runs of Dagster had not ended: they are marked as failed")
    if done.n_erased:
        click.echo(f"{done.n_erased:,} persons who were erased after the backup are erased again")


def _conclude(training_sets: tuple[str, ...], damages: "tuple[Damage, ...]") -> None:
    for line in training_sets:
        click.echo(line)
    for damage in damages:
        click.echo(f"damaged: {damage}", err=True)
    if damages:
        raise click.exceptions.Exit(1)


def _store(target: str | None, *, create: bool = False) -> "Store":
    from warehouse.backup.options import BackupOptions
    from warehouse.backup.store import open_store

    options: BackupOptions = BackupOptions(**read(BackupOptions, os.environ))
    place = target or options.backup_target
    if place is None:
        raise SettingError("name the folder or s3://bucket/prefix of the backups, or set LOANLAKE_BACKUP_TARGET")
    return open_store(place, options.backup_key, create=create)
