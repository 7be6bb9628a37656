"""The inbox of a home: ``inbox/<source>/[<entity>/]<file>``, where a lender puts files without a command.

A file is loaded once no process has it open for writing and it has not changed for a while. The run first renames it
into ``.claimed/`` beside it, so a later file of the same name is another file. It is deleted once the lake has its
content (the landing directory keeps a copy); if the run ends earlier, it gets its name back. A file that cannot be
loaded becomes ``<file>.refused``, with the reason in ``<file>.refused.txt``. Anything else is ignored and listed with
the reason (:attr:`Look.passed_over`).
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from orchestration.defs.ingestion.file_writers import has_writer
from warehouse.errors import LakeBusyError, SourceFileError
from warehouse.files.turns import file_turn_if_free
from warehouse.raw import is_name
from warehouse.settings import Settings
from warehouse.sources.landing import FileState, checksum

#: A file changed more recently may still be written.
SETTLED_SECONDS = 5.0
#: The same if the system cannot say whether the file is open for writing.
SETTLED_SECONDS_UNSEEN = 60.0
_CLAIMED, _REFUSED, _REASON = ".claimed", ".refused", ".txt"
#: Maximum bytes shown of a reason.
_REASON_BYTES = 2_000
#: Suffixes that senders remove once a file is complete.
_UNFINISHED = {".part", ".partial", ".filepart", ".tmp"}


@dataclass(frozen=True)
class WaitingFile:
    """A file to load; ``entity`` may be None. ``is_ahead``: its clock is ahead, so its age is unknown."""

    source: str
    entity: str | None
    path: Path
    state: FileState
    is_ahead: bool = False

    @property
    def identity(self) -> str:
        """Changes when the file is replaced or rewritten, not when a run claims it."""
        return f"{_dropped_as(self.path)}:{self.state.inode}:{self.state.n_bytes}:{self.state.changed_ns}"


@dataclass(frozen=True)
class PassedOver:
    """Something in the inbox that no run loads, and the reason."""

    path: Path
    why: str


@dataclass(frozen=True)
class Look:
    """The content of the inbox at one moment. ``unsettled``: files that may still be written."""

    waiting: list[WaitingFile] = field(default_factory=list)
    unsettled: list[WaitingFile] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)


def look(
    settings: Settings, source: str | None = None, *, earlier: Look | None = None, now: float | None = None
) -> Look:
    """The content of the inbox, for every source or one, by name.

    ``earlier``: a look :data:`SETTLED_SECONDS` ago; a file whose clock is ahead has settled if it is unchanged since.
    """
    found, now = Look(), time.time() if now is None else now
    before = {file.path: file.state for file in earlier.unsettled} if earlier else {}
    for entry in _entries(settings.inbox, source):
        if isinstance(entry, PassedOver):
            found.passed_over.append(entry)
            continue
        with suppress(FileNotFoundError):  # its sender, or the run that loads it, has renamed it
            seen, writer = entry.path.lstat(), has_writer(entry.path)
            file = WaitingFile(entry.source, entry.entity, entry.path, FileState.of(seen), seen.st_ctime > now)
            settled = before.get(file.path) == file.state if file.is_ahead else _has_settled(seen, writer, now)
            (found.waiting if settled and not writer else found.unsettled).append(file)
    return found


@contextmanager
def turn(settings: Settings, source: str) -> Iterator[None]:
    """Be the only run that loads a source, or raise LakeBusyError; restores files of an earlier run."""
    with file_turn_if_free(settings.home / "locks" / f"inbox-{source}.lock") as is_ours:
        if not is_ours:
            raise LakeBusyError(
                f"one run at a time loads the files of inbox/{source}/: another is doing it; wait for it to end"
            )
        for entry in _entries(settings.inbox, source):
            if isinstance(entry, _Entry) and entry.path.parent.name == _CLAIMED:
                _move(entry.path, _dropped_as(entry.path))
        yield


def claim(file: WaitingFile) -> WaitingFile | None:
    """Rename a file so that no sender can reach it; None if it has changed, or is being written.

    Raises SourceFileError if it cannot be renamed. Requires the :func:`turn`.
    """
    folder = file.path.parent / _CLAIMED
    claimed = WaitingFile(file.source, file.entity, folder / file.path.name, file.state)
    try:
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            raise SourceFileError(f"{folder} must be a folder: found a link; remove it")
        file.path.rename(claimed.path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceFileError(
            f"a file of the inbox must be in a folder that this user may write to: {file.path} cannot be renamed "
            f"({error.strerror})"
        ) from None
    refused = file.path.with_name(file.path.name + _REFUSED)
    if not os.path.lexists(refused):  # it was renamed back
        with suppress(OSError):
            _reason_file(refused).unlink()
    if FileState.of(claimed.path.lstat()) == file.state and not has_writer(claimed.path):
        return claimed
    give_back(claimed)
    return None


def give_back(claimed: WaitingFile) -> Path:
    """Restore a claimed file's name, or a similar one if a new file has it."""
    return _leave(claimed, _dropped_as(claimed.path))


def set_aside(claimed: WaitingFile, why: str) -> Path:
    """Rename a file that cannot be loaded, so that no run tries it again, and write the reason."""
    dropped = _dropped_as(claimed.path)
    refused = _leave(claimed, dropped.with_name(dropped.name + _REFUSED))
    with suppress(OSError):  # such as a full disk: the run also gives the reason
        reason = _reason_file(refused)
        reason.unlink(missing_ok=True)
        with reason.open("x", encoding="utf-8") as file:  # x: never through a link that a sender put there
            file.write(f"{why}\n")
    return refused


def _reason_file(refused: Path) -> Path:
    return refused.with_name(refused.name + _REASON)


def _reason(refused: Path) -> str | None:
    try:
        descriptor = os.open(_reason_file(refused), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            words = file.read(_REASON_BYTES).decode(errors="replace").split()
    except OSError:
        return None
    # senders can write here: remove terminal control characters
    return "".join(character for character in " ".join(words) if character.isprintable())


def delete_loaded(claimed: WaitingFile, sha256: str) -> bool:
    """Delete a claimed file if its content is what was loaded; otherwise restore it and return False."""
    before = FileState.of(claimed.path.lstat())
    is_same = not has_writer(claimed.path) and checksum(claimed.path) == sha256
    if not is_same or FileState.of(claimed.path.lstat()) != before or has_writer(claimed.path):
        give_back(claimed)
        return False
    claimed.path.unlink()
    _remove_if_empty(claimed.path.parent)
    return True


class _Entry(NamedTuple):
    source: str
    entity: str | None
    path: Path


def _entries(inbox: Path, source: str | None) -> Iterator[_Entry | PassedOver]:
    for path in _in(inbox):
        if source is not None and path.name != source:
            continue
        if not _is_folder(path):
            yield PassedOver(path, "it is not in a source's folder: move it to inbox/<source>/")
        elif not is_name(path.name):
            yield PassedOver(path, "a source's name has only lower case letters, digits and _: rename the folder")
        else:
            yield from _entries_of(path, path.name, None)


def _entries_of(folder: Path, source: str, entity: str | None) -> Iterator[_Entry | PassedOver]:
    for path in _in(folder):
        if path.name.endswith(_REFUSED + _REASON) and path.with_suffix("").exists():
            continue  # listed with its file
        if path.name == _CLAIMED and _is_folder(path):
            yield from (_Entry(source, entity, claimed) for claimed in _in(path))
        elif _is_folder(path):
            if entity is None and is_name(path.name):
                yield from _entries_of(path, source, path.name)
            else:
                yield PassedOver(path, "it is too deep, or its name cannot be an entity's: inbox/<source>/[<entity>/]")
        elif why := _why_passed_over(path):
            yield PassedOver(path, why)
        else:
            yield _Entry(source, entity, path)


def _has_settled(seen: os.stat_result, writer: bool | None, now: float) -> bool:
    """By the file system's change time: the sender sets the modification time."""
    changed = max(moment for moment in (seen.st_ctime, seen.st_mtime) if moment <= now)
    return now - changed >= (SETTLED_SECONDS_UNSEEN if writer is None else SETTLED_SECONDS)


def _why_passed_over(path: Path) -> str | None:
    if path.is_symlink():
        return "it is a link: drop the file itself"
    if not path.is_file():
        return "it is not a file: only files are loaded"
    if path.suffix == _REFUSED:
        why = _reason(path)
        how = f": {why}; " if why else ", and the run that tried says why: "
        return f"it could not be loaded{how}drop a corrected file, or rename it back"
    if path.name.endswith(_REFUSED + _REASON):
        return "it says why a file was refused that is not here any more: delete it"
    if path.suffix in _UNFINISHED or path.name.startswith((".", "~$")):  # ~$: beside a workbook that is open
        return "its name says that it is not complete: its sender renames it when it is"
    return None


def _in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _dropped_as(path: Path) -> Path:
    return path.parent.parent / path.name if path.parent.name == _CLAIMED else path


def _leave(claimed: WaitingFile, to: Path) -> Path:
    left_as = _move(claimed.path, to)
    _remove_if_empty(claimed.path.parent)
    return left_as


def _move(path: Path, to: Path) -> Path:
    """Rename a file to a name, or a similar free one: nothing is overwritten."""
    (stem, dot, suffixes), target, number = to.name.partition("."), to, 1
    while not _is_moved(path, target):
        number += 1
        # `loans-2.csv` sorts before `loans.csv`: the older file is loaded first
        target = to.with_name(f"{stem}-{number}{dot}{suffixes}")
    return target


def _is_moved(path: Path, to: Path) -> bool:
    try:
        os.link(path, to, follow_symlinks=False)
    except FileExistsError:
        if not path.samefile(to):  # otherwise a killed process left one file under both names
            return False
    except OSError:  # a file system without links
        if os.path.lexists(to):
            return False
        path.rename(to)
        return True
    path.unlink()
    return True


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
