"""What a home remembers of its backups: the newest one, and the one that it was restored from."""

from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from warehouse.errors import BackupError
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings

_Record = TypeVar("_Record", bound=msgspec.Struct)


class LastBackup(msgspec.Struct, frozen=True):
    """The newest complete backup, wherever it is; ``started_at``, UTC: it holds everything until then."""

    backup_id: str
    target: str
    started_at: datetime
    finished_at: datetime
    n_bytes: int


class Restored(msgspec.Struct, frozen=True):
    """The backup that the home came from."""

    backup_id: str
    target: str
    backup_started_at: datetime
    restored_at: datetime


def last_backup(settings: Settings) -> LastBackup | None:
    """None before the first backup, and after a restore."""
    return _read(settings.backup_records / "last.json", LastBackup)


def restored_from(settings: Settings) -> Restored | None:
    """None in a home that was not restored."""
    return _read(settings.backup_records / "restored.json", Restored)


def record_backup(settings: Settings, last: LastBackup) -> None:
    """Remember a complete backup."""
    replace_file(settings.backup_records / "last.json", msgspec.json.encode(last), mode=0o600)


def record_restore(settings: Settings, restored: Restored) -> None:
    """Remember a complete restore."""
    replace_file(settings.backup_records / "restored.json", msgspec.json.encode(restored), mode=0o600)


def restore_mark(settings: Settings) -> Path:
    """A file that names the backup while a restore has begun and not ended."""
    return settings.backup_records / "restoring"


def unfinished_restore(settings: Settings) -> bool:
    """Whether a restore into this home has begun and not ended."""
    return restore_mark(settings).exists()


def require_whole(settings: Settings) -> None:
    """Raise BackupError in a home whose restore has not ended: it may hold persons who were erased."""
    if unfinished_restore(settings):
        raise BackupError(
            f"a restore into {settings.home} is running, or was interrupted: nothing else may use this home until "
            "`loanlake restore` has ended; repeat it if it does not run"
        )


def _read(path: Path, kind: type[_Record]) -> _Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
