"""A second copy of the decision log on another disk, written before each answer, so that losing a disk loses none.

Each process appends to a file of its own in ``LOANLAKE_DECISION_COPY``, before its transaction in the outbox commits:
a decision that cannot be copied is not made, and one that did not commit is taken back. A file system over a network is
enough: nothing is locked or mapped. Files that a backup made unneeded are deleted by the backup; a restore reads the
others.
"""

import os
import secrets
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from warehouse.decision_log.entries import KINDS
from warehouse.decision_log.outbox import append, create
from warehouse.errors import OutboxError
from warehouse.files.replacing import to_disk
from warehouse.settings import Settings

#: A process begins a new file after this time, and never writes to one that is older.
FILE_SECONDS = 3600.0
_HEAD = struct.Struct("<4sII")  # mark, length, checksum
_MARK = b"LLD1"
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
    """Appends entries durably; one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        to_disk(self._folder)
        self._descriptor, self._began = descriptor, now
        return descriptor


def read_copies(folder: Path) -> Iterator[CopiedEntry]:
    """All entries of a folder, file by file, without an unfinished end. Raises OutboxError for a damaged file."""
    for path in sorted(folder.glob("decisions-*.log")):
        content, place = path.read_bytes(), 0
        while place + _HEAD.size <= len(content):
            mark, length, checksum = _HEAD.unpack_from(content, place)
            body = content[place + _HEAD.size : place + _HEAD.size + length]
            if not any(content[place:]):
                break  # the file grew, and the power failed before its content was written
            if mark != _MARK or (len(body) == length and zlib.crc32(body) != checksum):
                raise OutboxError(f"{path} is damaged at byte {place:,}: move it away to restore what the others hold")
            if len(body) < length:
                break
            yield msgspec.msgpack.decode(body, type=CopiedEntry)
            place += _HEAD.size + length


def restore_copies(settings: Settings, folder: Path, *, is_erased: Callable[[str, float], bool]) -> int:
    """Append the entries of a folder to the home's outbox, which keeps each once; returns how many were new.

    ``is_erased``: whether a borrower was erased after an entry's time; such entries, and outcomes of the same
    applications, stay away.
    """
    entries = [(copied, copied.entry) for copied in read_copies(folder)]
    erased = {
        entry.application_id
        for copied, entry in entries
        if getattr(entry, "borrower_id", None) is not None and is_erased(entry.borrower_id, copied.appended_at)
    }
    kept = [(copied, entry) for copied, entry in entries if getattr(entry, "application_id", None) not in erased]
    # a key that was used again after its time stands for its newest decision; the earlier one is kept without it
    newest_first = sorted(kept, key=lambda each: each[0].appended_at, reverse=True)
    with closing(create(settings)) as outbox:
        before = outbox.total_changes
        append(outbox, keyed=[(copied.key_id, entry) for copied, entry in newest_first if copied.key_id is not None])
        for kind in KINDS:
            of_kind: Any = [entry for copied, entry in kept if copied.table == kind.table]
            append(outbox, **{kind.table: of_kind})
        return outbox.total_changes - before


def prune_copies(folder: Path, *, backed_up_at: datetime) -> int:
    """Delete files of which a backup that began then has every entry; returns their number."""
    # a process may still write to a file that is younger, and an entry is here before it is in the outbox
    before = backed_up_at.timestamp() - 2 * FILE_SECONDS
    unneeded = [path for path in folder.glob("decisions-*.log") if path.stat().st_mtime < before]
    for path in unneeded:
        path.unlink(missing_ok=True)
    return len(unneeded)
