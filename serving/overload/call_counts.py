"""Requests of each caller in their running minute, counted once for all workers.

A file of the home counts for the workers of one machine, a Redis server for several machines. A caller's window opens
with their first request and lasts a minute.
"""

import math
import mmap
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from warehouse.files.turns import lock, locked, unlock

WINDOW_SECONDS = 60
#: Bytes that identify a caller.
CALLER_BYTES = 16

_SLOTS = 8
_BUCKETS = 8192
_SLOT = struct.Struct(f"<{CALLER_BYTES}sdQ")  # caller, start of their window, requests since
_BUCKET = struct.Struct("<" + f"{CALLER_BYTES}sdQ" * _SLOTS)


class Counted(msgspec.Struct, frozen=True):
    """The caller's requests of this window, this one included, and how long it stays open."""

    n: int
    seconds_left: float


class CallCounts(Protocol):
    """Counts the requests of callers, for every process that opens the same counts."""

    async def count(self, caller: bytes) -> Counted:
        """Count one more request of a caller, CALLER_BYTES long. Raises OSError if it cannot be counted."""

    async def close(self) -> None:
        """Release its resources."""


class MachineCounts:
    """Counts in a mapped file of fixed size, 2 MB, with a lock held for a microsecond.

    The caller's bytes select a bucket; a new caller replaces the slot whose window opened first. Any bytes are a valid
    table, so a crash corrupts nothing, and old windows need no clean-up.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic):
        # one monotonic clock for all processes of a machine, without wall-clock steps
        self._clock = clock
        self._path = path
        self._file: BinaryIO | None = None
        self._table: mmap.mmap | None = None

    async def count(self, caller: bytes) -> Counted:
        """See :class:`CallCounts`; awaits nothing."""
        file, table = self._opened()
        descriptor = file.fileno()
        lock(descriptor)
        try:
            now = self._clock()
            at, opened, n = _find(table, caller, now)
            if not n or not opened <= now < opened + WINDOW_SECONDS:
                opened, n = now, 0
            _SLOT.pack_into(table, at, caller, opened, n + 1)
        finally:
            unlock(descriptor)
        return Counted(n + 1, WINDOW_SECONDS - (now - opened))

    async def close(self) -> None:
        """See :class:`CallCounts`."""
        if self._table is not None and self._file is not None:
            self._table.close()
            self._file.close()
            self._table = self._file = None

    def _opened(self) -> tuple[BinaryIO, mmap.mmap]:
        if self._file is None or self._table is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b")
            with locked(self._file.fileno()):
                missing = _BUCKETS * _BUCKET.size - self._file.seek(0, 2)
                # written, not a hole: touching one on a full disk kills the process
                self._file.write(bytes(max(0, missing)))
                self._file.flush()
                self._table = mmap.mmap(self._file.fileno(), _BUCKETS * _BUCKET.size)
        return self._file, self._table


def _find(table: mmap.mmap, caller: bytes, now: float) -> tuple[int, float, int]:
    """The caller's slot: place, start of its window, and requests (0 if replaced)."""
    bucket = int.from_bytes(caller[:4], "little") % _BUCKETS * _BUCKET.size
    slots = _BUCKET.unpack_from(table, bucket)
    who, opened, n = slots[0::3], slots[1::3], slots[2::3]
    if caller in who:
        slot = who.index(caller)
        return bucket + slot * _SLOT.size, opened[slot], n[slot]
    # a time in the future is from before the machine restarted
    slot = min(range(_SLOTS), key=lambda slot: opened[slot] if opened[slot] <= now else -math.inf)
    return bucket + slot * _SLOT.size, now, 0
