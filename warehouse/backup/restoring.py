"""Restore a backup into an empty home, at the same place or another.

A mark in the home says that a restore has begun: until it is complete, only a restore may use the home, and the same
command can be repeated.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from warehouse.backup.contents import DATABASES, JOURNALS
from warehouse.backup.manifest import Manifest, StoredFile
from warehouse.backup.records import Restored, record_restore, restore_mark
from warehouse.backup.servers import objects
from warehouse.backup.servers.database import ARTIFACT_PLACES, DUMP, require_empty_database, restore_database
from warehouse.backup.store import Store
from warehouse.errors import BackupError, SettingError
from warehouse.files.drafts import draft_file
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings

#: Where a home without an object store has what a team's store had.
_OF_STORE = {f"{objects.OBJECTS}mlflow/": "mlflow/artifacts/", f"{objects.OBJECTS}dagster/": "dagster/"}


def restore_files(
    settings: Settings, store: Store, manifest: Manifest, *, link: bool = False, wanted: Callable[[str], bool] = bool
) -> None:
    """Write the files of a backup into the home, and adapt the places that MLflow remembers.

    ``link``: data files of the lake become links into a folder of backups, which is enough to read them. ``wanted``:
    says of a path whether it is restored. Raises BackupError if the home is in use, or a part is missing or damaged.
    Call :func:`complete` when nothing more is to be done.
    """
    require_empty(settings, manifest)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(restore_mark(settings), manifest.backup_id, mode=0o600)
    write_object = _object_writer(settings, store)
    for file in manifest.files:
        if not wanted(file.path) or file.path == DUMP or write_object(file):
            continue
        place = place_of(settings, file)
        original = store.plain_path(file.parts[0]) if link and len(file.parts) == 1 else None
        if original is not None and file.path.startswith(objects.DATA):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(original)
        else:
            write_file(store, file, place)
    if manifest.is_of_team:
        restore_database(settings, store, manifest)
    elif settings.mlflow_database.exists() and Path(manifest.home) != settings.home:
        _adapt_mlflow(settings.mlflow_database, Path(manifest.home), settings.home)


def require_empty(settings: Settings, manifest: Manifest) -> None:
    """Raises BackupError if something other than an unfinished restore of this backup is in the home or its database.

    Raises SettingError if the backup is of a team and the settings are not, or the other way round.
    """
    if manifest.is_of_team and settings.catalog is None:
        raise SettingError(
            f"{manifest.backup_id} is of a team, whose database and object store are in it: set LOANLAKE_CATALOG to an "
            "empty database and LOANLAKE_LAKE_DATA to a prefix"
        )
    if not manifest.is_of_team and settings.catalog is not None:
        raise SettingError(
            f"{manifest.backup_id} is of an embedded home, and LOANLAKE_CATALOG is set: unset it, and "
            "LOANLAKE_LAKE_DATA too"
        )
    found = sorted(path.name for path in settings.home.iterdir()) if settings.home.exists() else []
    begun = restore_mark(settings).read_text() if restore_mark(settings).exists() else None
    if begun == manifest.backup_id:
        return
    if not found:
        if manifest.is_of_team:
            require_empty_database(settings)
        return
    if begun is not None:  # files that only the other has would stay
        raise BackupError(
            f"the restore of {begun} into {settings.home} was interrupted, and {manifest.backup_id} would be mixed "
            f"with it: repeat it with `--at {begun}`, or set LOANLAKE_HOME to a new folder"
        )
    raise BackupError(
        f"a backup is restored into an empty home, and {settings.home} has {', '.join(found[:3])}"
        f"{', …' if len(found) > 3 else ''}: nothing was changed. Set LOANLAKE_HOME to a new folder, or move this away"
    )


def _object_writer(settings: Settings, store: Store) -> Callable[[StoredFile], bool]:
    """Writes a file of a backup to the team's object store, unless it is there; False for one that is not kept there.

    Of a database that was lost alone, all objects are still there.
    """
    roots = {f"{objects.OBJECTS}{name}/": files for name, files in objects.beside_lake(settings).items()}
    if "://" in settings.lake_data:
        roots[objects.DATA] = objects.lake_files(settings)

    def write(file: StoredFile) -> bool:
        for prefix, files in roots.items():
            if file.path.startswith(prefix):
                name = file.path.removeprefix(prefix)
                if not objects.is_whole(file, files, name):
                    objects.write(store, file, files, name)
                return True
        return False

    return write


def complete(settings: Settings, store: Store, manifest: Manifest) -> None:
    """The home may be used: remove the mark, and record where it came from."""
    record_restore(settings, Restored(manifest.backup_id, str(store.target), manifest.started_at, datetime.now(UTC)))
    restore_mark(settings).unlink()


def place_of(settings: Settings, file: StoredFile) -> Path:
    """Where a file of a backup is in the home; raises BackupError if that is not below it."""
    path = file.path
    for of_store, of_home in _OF_STORE.items():
        if path.startswith(of_store):
            path = f"{of_home}{path.removeprefix(of_store)}"
    # a manifest that somebody changed must not write elsewhere
    place = Path(os.path.normpath(settings.home / path))
    if not place.is_relative_to(settings.home):
        raise BackupError(f"the backup names the file {file.path!r}, which is not below a home: it is damaged")
    return place


def write_file(store: Store, file: StoredFile, place: Path) -> None:
    """Write a file of a backup; it replaces another only when it is whole."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = draft_file(place)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as copy:
            for part in file.parts:
                copy.write(store.read_part(part))
            n_bytes = copy.tell()
        if n_bytes != file.n_bytes:
            raise BackupError(f"{file.path} must have {file.n_bytes:,} bytes: its parts have {n_bytes:,}")
        os.utime(draft, ns=(file.modified_ns, file.modified_ns))
        if place.suffix in DATABASES:
            # of an interrupted restore; SQLite would apply it to the new file
            for journal in JOURNALS:
                place.with_name(f"{place.name}{journal}").unlink(missing_ok=True)
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)


def _adapt_mlflow(database: Path, before: Path, now: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        for table in sorted(tables & ARTIFACT_PLACES.keys()):
            present = {row[1] for row in connection.execute(f"pragma table_info({table})")}
            for column in sorted(present & set(ARTIFACT_PLACES[table])):
                for old, new in ((before.as_uri(), now.as_uri()), (str(before), str(now))):
                    connection.execute(
                        f"update {table} set {column} = ? || substr({column}, ?) where substr({column}, 1, ?) = ?",
                        (f"{new}/", len(old) + 2, len(old) + 1, f"{old}/"),
                    )
