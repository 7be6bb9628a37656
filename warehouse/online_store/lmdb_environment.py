"""LMDB environments, one a directory and process.

LMDB forbids a process to open a directory twice (its locks are the process's own), so readers and a writer in one
process share what the first of them opened. A rewritten store is another environment in the same place.
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
    """An open environment and its tables; ``n_users`` stores of this process hold it.

    ``inode``: of its file, which no other file can have while it is open.
    """

    path: Path
    inode: int | None
    handle: lmdb.Environment
    tables: dict[str, "_Database"]
    n_users: int = 0

    def is_replaced(self) -> bool:
        """Whether another store lies in its place by now; costs one call of the system."""
        return _inode(self.path) not in (None, self.inode)

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
        if key not in _opened or _opened[key].is_replaced():
            _opened[key] = _open(path, create=create, map_size=map_size)
        _opened[key].n_users += 1
        return _opened[key]


def release(environment: Environment) -> None:
    """Give it back; the last one closes it."""
    key = (os.getpid(), environment.path.resolve())
    with _lock:
        environment.n_users -= 1
        if environment.n_users == 0:
            environment.handle.close()
            if _opened.get(key) is environment:
                del _opened[key]


@contextmanager
def opened(path: Path, *, map_size: int) -> Iterator[Environment]:
    """The environment of a directory for a writer, made where there is none."""
    environment = acquire(path, create=True, map_size=map_size)
    try:
        yield environment
    finally:
        release(environment)


def _inode(path: Path) -> int | None:
    try:
        return os.stat(f"{path}/{_DATA}").st_ino  # noqa: PTH116  # asked by every look-up: pathlib takes six times as long
    except FileNotFoundError:
        return None  # not written yet, or just being replaced


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
    before = _inode(path)
    handle = lmdb.open(str(path), **options)
    inode = _inode(path)
    if before not in (None, inode):  # replaced just then: which of the two is open?
        handle.close()
        return _open(path, create=create, map_size=map_size)
    try:
        handle.reader_check()  # a process that was killed while it read keeps its slot, and the pages it saw
        tables = {name: handle.open_db(name.encode(), create=create) for name in TABLES}
        return Environment(path, inode, handle, tables)
    except lmdb.Error:
        handle.close()
        raise
