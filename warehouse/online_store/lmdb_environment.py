"""LMDB environments, one a directory and process.

LMDB forbids a process to open a directory twice (its locks are the process's own), so readers and a writer in one
process share what the first of them opened.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmdb

if TYPE_CHECKING:
    from lmdb import _Database

#: Address space, not disk: the file grows as records are written, and the map grows past this where it must.
MAP_SIZE = 64 * 2**30
TABLES = ("borrowers", "cohorts", "layouts", "sources")
_DATA = "data.mdb"

_opened: dict[tuple[int, Path], "Environment"] = {}
_lock = threading.Lock()


@dataclass
class Environment:
    """An open environment and its tables; ``n_users`` stores of this process hold it."""

    handle: lmdb.Environment
    tables: dict[str, "_Database"]
    n_users: int = 0

    def begin(self, *, write: bool = False) -> lmdb.Transaction:
        """A transaction; a reader's adopts a map that another process has grown meanwhile."""
        try:
            return self.handle.begin(write=write)
        except lmdb.MapResizedError:
            with _lock:
                self.handle.set_mapsize(0)  # 0 means: as the file says
            return self.handle.begin(write=write)


def is_written(path: Path) -> bool:
    """Whether a store was ever written in this directory."""
    return (path / _DATA).exists()


def acquire(path: Path, *, create: bool, map_size: int) -> Environment:
    """The environment of a directory; with ``create``, made where there is none."""
    key = (os.getpid(), path.resolve())
    with _lock:
        if key not in _opened:
            _opened[key] = _open(path, create=create, map_size=map_size)
        _opened[key].n_users += 1
        return _opened[key]


def release(path: Path) -> None:
    """Give it back; the last one closes it."""
    key = (os.getpid(), path.resolve())
    with _lock:
        environment = _opened[key]
        environment.n_users -= 1
        if environment.n_users == 0:
            environment.handle.close()
            del _opened[key]


@contextmanager
def opened(path: Path, *, map_size: int) -> Iterator[Environment]:
    """The environment of a directory for a writer, made where there is none."""
    environment = acquire(path, create=True, map_size=map_size)
    try:
        yield environment
    finally:
        release(path)


def _open(path: Path, *, create: bool, map_size: int) -> Environment:
    if create:
        path.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "map_size": map_size,
        "max_dbs": len(TABLES),
        "max_readers": 1024,
        "readahead": False,  # look-ups are random: reading ahead would push other pages out of memory
        "readonly": not os.access(path, os.W_OK),
    }
    handle = lmdb.open(str(path), **options)
    try:
        return Environment(handle, {name: handle.open_db(name.encode(), create=create) for name in TABLES})
    except lmdb.Error:
        handle.close()
        raise
