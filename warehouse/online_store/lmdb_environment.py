"""LMDB environments, one for each directory and process.

LMDB forbids a process to open a directory twice (locks belong to the process), so readers and a writer in one process
share an environment. A rewritten store is a new environment in the same directory.
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

#: Address space, not disk: the file grows with its records, and the map is enlarged when needed.
MAP_SIZE = 64 * 2**30
TABLES = ("borrowers", "cohorts", "layouts", "sources")
_DATA = "data.mdb"

_opened: dict[tuple[int, Path], "Environment"] = {}
_lock = threading.Lock()


@dataclass
class Environment:
    """An environment and its tables, shared by ``n_users`` stores; ``inode`` is unique while its file is open."""

    path: Path
    inode: int | None
    handle: lmdb.Environment
    tables: dict[str, "_Database"]
    n_users: int = 0

    def is_replaced(self) -> bool:
        """Whether another store has replaced it; costs one system call."""
        return _inode(self.path) not in (None, self.inode)

    def begin(self, *, write: bool = False) -> lmdb.Transaction:
        """A transaction; a reader's adopts a map that another process has enlarged."""
        try:
            return self.handle.begin(write=write)
        except lmdb.MapResizedError:
            with _lock:
                self.handle.set_mapsize(0)  # 0: the file's own size
            return self.handle.begin(write=write)


def is_written(path: Path) -> bool:
    """Whether this directory has ever held a store."""
    return (path / _DATA).exists()


def acquire(path: Path, *, create: bool, map_size: int) -> Environment:
    """The environment of a directory; ``create``: make it if it is missing."""
    key = (os.getpid(), path.resolve())
    with _lock:
        if key not in _opened or _opened[key].is_replaced():
            _opened[key] = _open(path, create=create, map_size=map_size)
        _opened[key].n_users += 1
        return _opened[key]


def release(environment: Environment) -> None:
    """Release it; the last user closes it."""
    key = (os.getpid(), environment.path.resolve())
    with _lock:
        environment.n_users -= 1
        if environment.n_users == 0:
            environment.handle.close()
            if _opened.get(key) is environment:
                del _opened[key]


@contextmanager
def opened(path: Path, *, map_size: int) -> Iterator[Environment]:
    """The environment of a directory for a writer, created if it is missing."""
    environment = acquire(path, create=True, map_size=map_size)
    try:
        yield environment
    finally:
        release(environment)


def _inode(path: Path) -> int | None:
    try:
        return os.stat(f"{path}/{_DATA}").st_ino  # noqa: PTH116  # asked by every look-up: pathlib takes six times as long
    except FileNotFoundError:
        return None  # not written yet, or being replaced


def _open(path: Path, *, create: bool, map_size: int) -> Environment:
    if create:
        path.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "map_size": map_size,
        "max_dbs": len(TABLES),
        "max_readers": 1024,
        "readahead": False,  # look-ups are random: reading ahead would evict other pages from memory
        "readonly": not os.access(path, os.W_OK),
    }
    before = _inode(path)
    handle = lmdb.open(str(path), **options)
    inode = _inode(path)
    if before not in (None, inode):  # replaced meanwhile: unclear which one is open
        handle.close()
        return _open(path, create=create, map_size=map_size)
    try:
        handle.reader_check()  # a reader that was killed keeps its slot, and the pages it saw
        tables = {name: handle.open_db(name.encode(), create=create) for name in TABLES}
        return Environment(path, inode, handle, tables)
    except lmdb.Error:
        handle.close()
        raise
