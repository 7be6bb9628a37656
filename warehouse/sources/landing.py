"""Files as received: copied once to ``landing/<source>/<entity>/``, under their checksum, and never changed."""

import hashlib
import os
import stat
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from warehouse.errors import FileChangedError, SourceFileError

_CHUNK = 4 << 20
#: Most bytes of a file's name: file systems allow 255, and landing may add a checksum.
_NAME_BYTES = 200


@dataclass(frozen=True)
class FileState:
    """Directory entry fields that change when a file is replaced or written to."""

    device: int
    inode: int
    n_bytes: int
    changed_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """The state that ``stat`` reported."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class LandedFile:
    """A landed copy of ``origin`` in that ``state``. ``is_new``: this call landed it, so a refusal removes it."""

    path: Path
    sha256: str
    n_bytes: int
    is_new: bool
    origin: Path
    state: FileState

    def withdraw(self) -> None:
        """Remove what :func:`receive` landed; an earlier file stays."""
        if self.is_new:
            self.path.unlink(missing_ok=True)

    def land_as(self, name: str) -> None:
        """Rename what :func:`receive` landed to the name that the lake has for its content; keeps an existing file."""
        known = self.path.with_name(name)
        if self.is_new and not known.exists():
            self.path.rename(known)
        else:
            self.withdraw()

    def require_unchanged(self) -> None:
        """Raise FileChangedError if the original was written to since; if removed or replaced, it was complete."""
        try:
            now = FileState.of(self.origin.lstat())
        except FileNotFoundError:
            return
        if (now.device, now.inode) == (self.state.device, self.state.inode) and now != self.state:
            raise _changed(self.origin, self.state, now)


def receive(path: Path, directory: Path) -> LandedFile:
    """Copy ``path`` into ``directory`` unless its content is there under that name.

    A name in use for other content gets a checksum: a name in the lake always means one file. Raises SourceFileError
    unless it is one readable file with a usable name, FileChangedError if it is written to during the copy.
    """
    _require_usable_name(path)
    with _opened(path) as file:
        state = FileState.of(os.fstat(file.fileno()))
        if path.resolve().parent == directory.resolve():
            sha256, n_bytes = _checksum(file)
            return LandedFile(path.resolve(), sha256, n_bytes, is_new=False, origin=path, state=state)

        directory.mkdir(parents=True, exist_ok=True)
        incoming = directory / f".incoming-{os.getpid()}-{threading.get_ident()}"
        try:
            with incoming.open("wb") as copy:
                sha256, n_bytes = _checksum(file, copy_to=copy)
                os.fsync(copy.fileno())
            now = FileState.of(os.fstat(file.fileno()))
            if now != state or n_bytes != state.n_bytes:
                raise _changed(path, state, now)
            for landed in (directory / path.name, directory / _name_with(path.name, sha256[:8])):
                if not landed.exists():
                    incoming.chmod(stat.S_IRUSR)
                    incoming.rename(landed)
                    return LandedFile(landed, sha256, n_bytes, is_new=True, origin=path, state=state)
                if checksum(landed) == sha256:
                    return LandedFile(landed, sha256, n_bytes, is_new=False, origin=path, state=state)
        finally:
            incoming.unlink(missing_ok=True)
    raise SourceFileError(f"{landed} exists with a content that is not its checksum's: it was edited after it landed")


def checksum(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file, opened once for reading, so that the checked file is the one that is read."""
    try:
        # O_NONBLOCK: opening a FIFO would wait for its writer. Links are refused: their target may not be the lender's
        # file, and may change before it is read.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise SourceFileError(f"a file to load must exist: found nothing at {path.absolute()}") from None
    except PermissionError:
        raise SourceFileError(
            f"a file to load must be readable by this user: found no permission for {path.absolute()}"
        ) from None
    except OSError as error:
        if path.is_symlink():
            raise SourceFileError(
                f"a file to load must be a file itself: found a link at {path.absolute()}; name the file that it "
                f"points to, {path.resolve()}"
            ) from None
        raise SourceFileError(f"a file to load must be readable: found {error.strerror} at {path.absolute()}") from None
    try:
        _require_content(path, os.fstat(descriptor))
        file = os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
    with file:
        yield file


def _require_content(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        if stat.S_ISDIR(found.st_mode):
            kind, do = "a directory", f"; name the files, for instance {path}/*.csv"
        else:
            kind, do = "a pipe, socket or device", ""
        raise SourceFileError(f"a file to load must be one file: found {kind} at {path.absolute()}{do}")
    if found.st_size == 0:
        raise SourceFileError(f"{path.name} must have a header and rows: found an empty file; nothing of it was loaded")


def _require_usable_name(path: Path) -> None:
    """A name is stored with each of its rows, and shown wherever a row is explained."""
    name = path.name
    hidden = [character for character in name if unicodedata.category(character) in ("Cc", "Cs")]
    n_bytes = len(os.fsencode(name))
    if hidden or n_bytes > _NAME_BYTES:
        found = f"{n_bytes} bytes" if not hidden else "a control character, or bytes that are not UTF-8"
        raise SourceFileError(
            f"the name of a file must be text of at most {_NAME_BYTES} bytes without control characters: found {found} "
            f"in {name!a}; rename it"
        )


def _changed(path: Path, before: FileState, now: FileState) -> FileChangedError:
    return FileChangedError(
        f"{path.name} must be complete when it is loaded: it was written to meanwhile ({before.n_bytes:,} bytes, now "
        f"{now.n_bytes:,}); nothing of it was loaded. Load it when its writer has finished"
    )


def _checksum(file: BinaryIO, *, copy_to: BinaryIO | None = None) -> tuple[str, int]:
    digest, n_bytes = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        n_bytes += len(chunk)
        if copy_to is not None:
            copy_to.write(chunk)
    return digest.hexdigest(), n_bytes


def _name_with(name: str, tag: str) -> str:
    stem, dot, suffixes = name.partition(".")
    return f"{stem}-{tag}{dot}{suffixes}"
