"""Lock files for one process at a time; the system frees a lock when its holder ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file_turn(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, across processes and threads; waits for the previous holder. Not reentrant."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file, locked(file.fileno()):
        yield


@contextmanager
def file_turn_if_free(path: Path) -> Iterator[bool]:
    """As :func:`file_turn`, without waiting: False if another holder has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        yield try_lock(file.fileno())


@contextmanager
def locked(descriptor: int) -> Iterator[None]:
    """Hold the lock of an open file."""
    lock(descriptor)
    try:
        yield
    finally:
        unlock(descriptor)


def lock(descriptor: int) -> None:
    """Lock an open file until :func:`unlock`, waiting for the previous holder."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False if another holder has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Free the lock of an open file, which a child process may have inherited."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
