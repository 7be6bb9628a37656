"""Make a backup of a home while everything runs: no reader, writer or caller of the API waits for it.

The order gives consistency. First the decision log, so that what it calls ingested is in the lake copied after it; then
the catalog; then files, which are only added while a deployment does not change; at last the data files that the copied
catalog names. If a deployment changed or a person was erased meanwhile, or a data file is gone, it starts over: the
parts copied by then are not copied again.
"""

import platform
import secrets
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from warehouse.backup.contents import databases, links, other_files, watched
from warehouse.backup.erased import note_erasures
from warehouse.backup.manifest import FORMAT, Manifest, StoredFile
from warehouse.backup.records import LastBackup, record_backup, require_whole
from warehouse.backup.servers import objects
from warehouse.backup.servers.database import keep_database
from warehouse.backup.store import Store
from warehouse.backup.target import backup_turn
from warehouse.decision_log.entries import KINDS
from warehouse.decision_log.second_copy import prune_copies
from warehouse.errors import BackupError, NotFoundError, SettingError
from warehouse.files.drafts import draft_directory
from warehouse.files.replacing import replace_file
from warehouse.files.sqlite_copy import copy_sqlite
from warehouse.lake.catalog_copy import CopiedCatalog, copy_catalog
from warehouse.people.pseudonyms import pseudonyms
from warehouse.settings import Settings
from warehouse.team import shared_turn

_MOST_TRIES = 5


@dataclass(frozen=True)
class Created:
    """A complete backup; ``n_bytes_written``: what the target did not have. ``pruned``: ids of deleted backups.

    ``links``: symbolic links in the home, of which it has nothing.
    """

    manifest: Manifest
    n_bytes_written: int
    n_tries: int
    seconds: float
    pruned: tuple[str, ...] = ()
    links: tuple[Path, ...] = ()


class _ChangedError(Exception):
    """Something changed that must not change during a backup."""


def create_backup(settings: Settings, store: Store, *, keep: int | None = None) -> Created:
    """Back up the home; ``keep``: how many backups stay, the newest ones.

    Raises BackupError while another backup runs, if the home changes all the time, or if the target cannot be written.
    """
    _require_reachable(settings)
    require_whole(settings)
    if not settings.home.exists():
        raise BackupError(f"there is no home at {settings.home} to back up: check LOANLAKE_HOME")
    started = time.monotonic()
    # before the first backup, so that it has them: without the key, no list of erased persons can be applied to it
    pseudonyms(settings)
    home_id = _home_id(settings)
    with backup_turn(settings.home / "locks", store.target):
        n_before = store.n_bytes_written
        known = _stamps(store, home_id)
        manifest, n_tries = _first_unchanged(settings, store, known, home_id)
        note_erasures(settings, store.target)
        store.put_manifest(manifest)
        last = LastBackup(
            manifest.backup_id, str(store.target), manifest.started_at, manifest.finished_at, manifest.n_bytes
        )
        record_backup(settings, last)
        if settings.decision_copy is not None:
            prune_copies(settings.decision_copy, backed_up_at=manifest.started_at)
        pruned = store.prune(keep=keep, made=manifest.backup_id)[0] if keep is not None else []
    return Created(
        manifest,
        store.n_bytes_written - n_before,
        n_tries,
        time.monotonic() - started,
        tuple(pruned),
        tuple(links(settings)),
    )


def _first_unchanged(
    settings: Settings, store: Store, known: dict[str, StoredFile], home_id: str
) -> tuple[Manifest, int]:
    why = None
    for n_tries in range(1, _MOST_TRIES + 1):
        try:
            return _one_state(settings, store, known, home_id), n_tries
        except _ChangedError as changed:
            why = changed
    raise BackupError(f"the home changed during each of {_MOST_TRIES} tries ({why}): back up again later")


def _one_state(settings: Settings, store: Store, known: dict[str, StoredFile], home_id: str) -> Manifest:
    """Raises _ChangedError."""
    started_at = datetime.now(UTC)
    before = watched(settings)
    files: list[StoredFile] = []
    with draft_directory(settings.backup_records / "copies") as drafts:
        copy = drafts / "copy"
        n_decisions = 0
        for path in databases(settings):
            try:
                copy_sqlite(path, copy)
            except sqlite3.DatabaseError as error:
                if not path.exists():
                    continue  # Dagster deletes a run's file with the run
                raise BackupError(f"{path} cannot be backed up: {error}") from error
            if path == settings.outbox:
                n_decisions = _n_entries(copy)
            files.append(_keep_copy(settings, store, path, copy))
        if settings.catalog is not None:
            dump, catalog, n_handed_over = keep_database(settings, store)
            files.append(dump)
            n_decisions += n_handed_over
        elif (catalog := copy_catalog(settings, copy)) is not None and catalog.of is not None:
            files.append(_keep_copy(settings, store, catalog.of, copy))
    files += [kept for path in other_files(settings) if (kept := _keep_file(settings, store, path, known)) is not None]
    files += _data_files(settings, store, catalog, known)
    files += _objects(settings, store, known)
    if watched(settings) != before:
        raise _ChangedError("a deployment changed, or a person was erased")
    return Manifest(
        format=FORMAT,
        backup_id=f"{started_at:%Y%m%dT%H%M%S}-{started_at.microsecond // 1000:03}Z",
        home=str(settings.home),
        home_id=home_id,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        versions=_versions(),
        lake_snapshot=None if catalog is None else catalog.snapshot,
        tables={} if catalog is None else catalog.rows,
        n_decisions=n_decisions,
        files=tuple(sorted(files, key=lambda file: file.path)),
        artifact_root=settings.mlflow_artifact_root if settings.catalog is not None else None,
    )


def _data_files(
    settings: Settings, store: Store, catalog: CopiedCatalog | None, known: dict[str, StoredFile]
) -> list[StoredFile]:
    """A file of the backup before is taken from there: DuckLake never changes one, so a difference is damage."""
    found, files = [], objects.lake_files(settings)
    for name in catalog.files if catalog is not None else ():
        before = known.get(f"{objects.DATA}{name}")
        if before is not None and store.has_parts(before):
            found.append(before)
            continue
        kept = objects.keep(store, files, name, f"{objects.DATA}{name}")
        if kept is None:
            raise _ChangedError(f"maintenance deleted {name}, or it is lost: `loanlake status` says which")
        found.append(kept)
    return found


def _objects(settings: Settings, store: Store, known: dict[str, StoredFile]) -> list[StoredFile]:
    """What MLflow and Dagster keep in the object store of a team: only added, or replaced whole."""
    found = []
    for prefix, files in objects.beside_lake(settings).items():
        for info in objects.all_names(files):
            path = f"{objects.OBJECTS}{prefix}/{info.path}"
            before = known.get(path)
            if before is not None and before.stamp == objects.stamp_of(info) and store.has_parts(before):
                found.append(before)
            elif (kept := objects.keep(store, files, info.path, path)) is not None:
                found.append(kept)
    return found


def _keep_file(settings: Settings, store: Store, path: Path, known: dict[str, StoredFile]) -> StoredFile | None:
    """None if the file is gone."""
    name = str(path.relative_to(settings.home))
    try:
        status = path.stat()
        # the time of a change (ctime) cannot be set back, unlike that of modification
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        before = known.get(name)
        if before is not None and before.stamp == stamp and store.has_parts(before):
            return before
        with path.open("rb") as file:
            parts, n_bytes = store.keep_stream(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BackupError(f"{path} cannot be backed up: {error}") from error
    # read while it grew: not to be taken for the same next time
    return StoredFile(name, n_bytes, status.st_mtime_ns, parts, stamp if n_bytes == status.st_size else None)


def _keep_copy(settings: Settings, store: Store, path: Path, copy: Path) -> StoredFile:
    with copy.open("rb") as file:
        parts, n_bytes = store.keep_stream(file)
    copy.unlink()
    return StoredFile(str(path.relative_to(settings.home)), n_bytes, time.time_ns(), parts)


def _n_entries(outbox: Path) -> int:
    with closing(sqlite3.connect(outbox)) as connection:
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        counts = [
            connection.execute(f"select count(*) from {kind.table}").fetchone()[0]
            for kind in KINDS
            if kind.table in tables
        ]
    return int(sum(counts))


def _stamps(store: Store, home_id: str) -> dict[str, StoredFile]:
    """The files of the target's newest backup; of a damaged one none, so that every file is read again.

    Raises BackupError if it is of another home: a restore would take the newest for this one's.
    """
    try:
        newest = store.manifest()
    except (NotFoundError, BackupError):
        return {}
    if newest.home_id != home_id:
        raise BackupError(
            f"each home needs a target of its own: the newest backup in {store.target}, {newest.backup_id}, is of "
            f"another home, {newest.home}. Name another folder or prefix"
        )
    return {file.path: file for file in newest.files}


def _home_id(settings: Settings) -> str:
    """The name of the home, or of the team, made at the first backup; a restored one keeps it, wherever it is."""
    with shared_turn(settings, settings.home / "locks" / "home-id.lock", settings.home_id):
        if not settings.home_id.exists():
            replace_file(settings.home_id, secrets.token_hex(16), mode=0o600)
        return settings.home_id.read_text()


def _require_reachable(settings: Settings) -> None:
    if settings.catalog is None and settings.lake_data != settings.default_lake_data:
        raise SettingError(
            "a backup reaches a lake that is in the home, or a team's: found LOANLAKE_LAKE_DATA without "
            "LOANLAKE_CATALOG"
        )
    if settings.catalog is not None and settings.erasure_key is None:
        raise SettingError(
            "a team's backup needs LOANLAKE_ERASURE_KEY, the same on each machine: by a key of its own, this machine "
            "could not recognise whom another one has erased, and a restore would bring them back"
        )


def _versions() -> dict[str, str]:
    packages = {
        name: version(name) for name in ("loanlake", "duckdb", "duckdb-extension-ducklake", "mlflow", "dagster")
    }
    return {**packages, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
