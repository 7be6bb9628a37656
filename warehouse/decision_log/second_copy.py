"""A second copy of the decision log on another disk, written before each answer, so that losing a disk loses none.

Each process appends to a file of its own in ``LOANLAKE_DECISION_COPY``, before its transaction in the outbox commits:
a decision that cannot be copied is not made, and one that did not commit is taken back. A file system over a network is
enough: nothing is locked or mapped. Files that a backup made unneeded are deleted by the backup; a restore reads the
others.

A mark on the disk and a record in the home say which disk it is. Where the disk is not mounted, the folder is on the
disk below, and without the mark: decisions are refused until it is back.
"""

import os
import secrets
import socket
import sqlite3
import struct
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from warehouse.decision_log.entries import KINDS
from warehouse.decision_log.outbox import append, create
from warehouse.errors import OutboxError
from warehouse.files.replacing import replace_file, to_disk
from warehouse.files.turns import file_turn
from warehouse.settings import Settings

#: A process begins a new file after this time, and never writes to one that is older.
FILE_SECONDS = 3600.0
_HEAD = struct.Struct("<4sII")  # mark, length, checksum
_MARK = b"LLD1"
#: On the disk; its content is the disk's name.
_DISK_MARK = "this-disk"
#: Appended to the outbox in one transaction by a restore.
_AT_ONCE = 500
_ZEROS_AT_ONCE = 2**20
_STRUCTS = {kind.table: kind.struct for kind in KINDS}
_TABLES = {kind.struct: kind.table for kind in KINDS}
_ENCODER = msgspec.msgpack.Encoder()


class CopiedEntry(msgspec.Struct, array_like=True, frozen=True):
    """An entry of the log; ``payload``: as in the outbox."""

    table: str
    key_id: str | None
    appended_at: float
    payload: bytes

    @property
    def entry(self) -> Any:
        """The decision, outcome, shadow score or failure."""
        return msgspec.msgpack.decode(self.payload, type=_STRUCTS[self.table])


class SecondCopy:
    """Appends entries durably; one thread at a time. ``record``: the home's record of the disk."""

    def __init__(self, folder: Path, record: Path) -> None:
        self._folder, self._record = folder, record
        self._descriptor: int | None = None
        self._began = 0.0
        self._settled: int | None = None

    def append(self, rows: Sequence[tuple[str | None, Any]]) -> None:
        """Return when these are durable, each with the key it came with; raises OSError.

        Call :meth:`settle` once the outbox has them too, else :meth:`take_back`.
        """
        now = time.time()
        frames = bytearray()
        for key_id, row in rows:
            body = _ENCODER.encode(CopiedEntry(_TABLES[type(row)], key_id, now, _ENCODER.encode(row)))
            frames += _HEAD.pack(_MARK, len(body), zlib.crc32(body)) + body
        # the clock may be set back, and somebody may delete the file: what is appended to it then is lost
        is_usable = 0 <= now - self._began <= FILE_SECONDS
        if self._descriptor is not None and not (is_usable and os.fstat(self._descriptor).st_nlink):
            self.close()
        descriptor = self._descriptor if self._descriptor is not None else self._begin(now)
        self._settled = os.fstat(descriptor).st_size
        if os.write(descriptor, frames) < len(frames):
            raise OSError(f"{self._folder} is full")
        os.fdatasync(descriptor)

    def settle(self) -> None:
        """What was appended stays."""
        self._settled = None

    def take_back(self) -> None:
        """Remove what was appended since the last :meth:`settle`, as far as the disk allows; begin a new file."""
        if self._descriptor is not None and self._settled is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._settled)
        self.close()

    def close(self) -> None:
        """Close the file; the next entry begins another."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = self._settled = None

    def _begin(self, now: float) -> int:
        # never a file that exists: it may end within a frame, and containers share host names and process ids
        who = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        name = f"decisions-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}-{who}.log"
        _mark_disk(self._folder, self._record)
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        to_disk(self._folder)
        self._descriptor, self._began = descriptor, now
        return descriptor


def require_disk(folder: Path, record: Path) -> None:
    """Raise OSError if the home recorded a disk, and the folder is not on it."""
    expected, found = _read(record), _read(folder / _DISK_MARK)
    if expected is not None and found != expected:
        what = "no such file" if found is None else "that of another disk"
        raise OSError(
            f"{folder} must be on the disk that it was on before, which has a file {_DISK_MARK} with {expected}: found "
            f"{what}. Mount the disk; if this is a new one, delete {record}"
        )


def _mark_disk(folder: Path, record: Path) -> None:
    """Create the folder, its mark and the home's record where there are none; raises as :func:`require_disk`."""
    record.parent.mkdir(parents=True, exist_ok=True)
    with file_turn(record.with_suffix(".lock")):  # another process of the API may begin at the same moment
        require_disk(folder, record)
        if _read(folder / _DISK_MARK) is None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(folder / _DISK_MARK, secrets.token_hex(8), mode=0o600)
        if _read(record) is None:
            replace_file(record, (folder / _DISK_MARK).read_bytes(), mode=0o600)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def read_copies(folder: Path) -> Iterator[CopiedEntry]:
    """All entries of a folder, file by file, without an unfinished end. Raises OutboxError for a damaged file."""
    for path in sorted(folder.glob("decisions-*.log")):
        with path.open("rb") as file:
            yield from _entries(path, file)


def _entries(path: Path, file: BinaryIO) -> Iterator[CopiedEntry]:
    n_bytes = os.fstat(file.fileno()).st_size
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        place = file.tell() - _HEAD.size
        mark, length, checksum = _HEAD.unpack(head)
        if not any(head) and _is_zero(file):
            return  # the file grew, and the power failed before its content was written
        # a damaged length may be that of gigabytes
        body = file.read(min(length, n_bytes)) if mark == _MARK else b""
        if mark != _MARK or (len(body) == length and zlib.crc32(body) != checksum):
            raise OutboxError(f"{path} is damaged at byte {place:,}: move it away to restore what the others hold")
        if len(body) < length:
            return
        yield msgspec.msgpack.decode(body, type=CopiedEntry)


def _is_zero(file: BinaryIO) -> bool:
    while content := file.read(_ZEROS_AT_ONCE):
        if any(content):
            return False
    return True


def restore_copies(settings: Settings, folder: Path, *, is_erased: Callable[[str, float], bool]) -> int:
    """Append the entries of a folder to the home's outbox, which keeps each once; returns how many were new.

    ``is_erased``: whether a borrower was erased after an entry's time; such entries, and outcomes of the same
    applications, stay away. Reads the folder twice; memory holds a few hundred entries, and the keys' decisions by id.
    """
    erased, holders = _survey(folder, is_erased)
    with closing(create(settings)) as outbox:
        before = outbox.total_changes
        waiting: list[tuple[CopiedEntry, Any]] = []
        for copied in read_copies(folder):
            entry = copied.entry
            if getattr(entry, "application_id", None) not in erased:
                waiting.append((copied, entry))
            if len(waiting) == _AT_ONCE:
                _append(outbox, waiting, holders)
                waiting.clear()
        _append(outbox, waiting, holders)
        return outbox.total_changes - before


def _survey(folder: Path, is_erased: Callable[[str, float], bool]) -> tuple[set[str], set[str]]:
    """Applications of erased persons; and the decisions that have their key.

    A key that was used again after its time stands for its newest decision; the earlier one is kept without it.
    """
    erased: set[str] = set()
    of_key: dict[str, list[tuple[float, str, str]]] = defaultdict(list)
    for copied in read_copies(folder):
        entry = copied.entry
        borrower_id = getattr(entry, "borrower_id", None)
        if borrower_id is not None and is_erased(borrower_id, copied.appended_at):
            erased.add(entry.application_id)
        if copied.key_id is not None:
            of_key[copied.key_id].append((copied.appended_at, entry.decision_id, entry.application_id))
    kept = ([each for each in decisions if each[2] not in erased] for decisions in of_key.values())
    return erased, {max(decisions)[1] for decisions in kept if decisions}


def _append(outbox: sqlite3.Connection, copies: Sequence[tuple[CopiedEntry, Any]], holders: set[str]) -> None:
    with_key = [
        (copied.key_id, entry) for copied, entry in copies if copied.key_id is not None and entry.decision_id in holders
    ]
    append(outbox, keyed=with_key)
    for kind in KINDS:  # also those whose key has another decision in the log
        of_kind: Any = [entry for copied, entry in copies if copied.table == kind.table]
        append(outbox, **{kind.table: of_kind})


def prune_copies(folder: Path, *, backed_up_at: datetime) -> int:
    """Delete files of which a backup that began then has every entry; returns their number."""
    # a process may still write to a file that is younger, and an entry is here before it is in the outbox
    before = backed_up_at.timestamp() - 2 * FILE_SECONDS
    unneeded = [path for path in folder.glob("decisions-*.log") if path.stat().st_mtime < before]
    for path in unneeded:
        path.unlink(missing_ok=True)
    return len(unneeded)
