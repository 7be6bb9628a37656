"""Files as received: copied once under their checksum into ``landing/<source>/<entity>/``, and never changed after."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from warehouse.errors import SourceFileError

_CHUNK = 4 << 20


@dataclass(frozen=True)
class LandedFile:
    """A file in the landing directory. ``is_new``: it came there by this call, so a refusal takes it away again."""

    path: Path
    sha256: str
    n_bytes: int
    is_new: bool

    def withdraw(self) -> None:
        """Take away what :func:`receive` brought; a file that was there before stays."""
        if self.is_new:
            self.path.unlink(missing_ok=True)


def receive(path: Path, directory: Path) -> LandedFile:
    """Copy ``path`` into ``directory`` unless its content is there already, as that name.

    Another content under a name already taken gets its checksum into its name, so that a name in the lake always means
    one file. Raises SourceFileError for a missing path, a directory or a file that cannot be read.
    """
    _require_file(path)
    if path.resolve().parent == directory.resolve():
        return LandedFile(path.resolve(), *_checksum(path), is_new=False)

    directory.mkdir(parents=True, exist_ok=True)
    incoming = directory / f".incoming-{os.getpid()}-{path.name}"
    try:
        sha256, n_bytes = _checksum(path, copy_to=incoming)
        for landed in (directory / path.name, directory / _name_with(path.name, sha256[:8])):
            if not landed.exists():
                incoming.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
                incoming.rename(landed)
                return LandedFile(landed, sha256, n_bytes, is_new=True)
            if _checksum(landed)[0] == sha256:
                return LandedFile(landed, sha256, n_bytes, is_new=False)
    finally:
        incoming.unlink(missing_ok=True)
    raise SourceFileError(f"{landed} exists with a content that is not its checksum's: it was edited after it landed")


def _require_file(path: Path) -> None:
    if not path.exists():
        raise SourceFileError(f"a file to load must exist: found nothing at {path.absolute()}")
    if not path.is_file():
        raise SourceFileError(
            f"a file to load must be one file: found {'a directory' if path.is_dir() else 'no ordinary file'} at "
            f"{path.absolute()}; name the files, for instance {path}/*.csv"
        )
    if not os.access(path, os.R_OK):
        raise SourceFileError(
            f"a file to load must be readable by this user: found no permission for {path.absolute()}"
        )
    if path.stat().st_size == 0:
        raise SourceFileError(f"{path.name} must have a header and rows: found an empty file; nothing of it was loaded")


def _checksum(path: Path, *, copy_to: Path | None = None) -> tuple[str, int]:
    digest, n_bytes = hashlib.sha256(), 0
    with path.open("rb") as file, (copy_to or Path(os.devnull)).open("wb") as copy:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            n_bytes += copy.write(chunk)
        copy.flush()
        if copy_to is not None:
            os.fsync(copy.fileno())
    return digest.hexdigest(), n_bytes


def checksum(path: Path) -> str:
    """The SHA-256 of a file's content."""
    return _checksum(path)[0]


def _name_with(name: str, tag: str) -> str:
    stem, dot, suffixes = name.partition(".")
    return f"{stem}-{tag}{dot}{suffixes}"
