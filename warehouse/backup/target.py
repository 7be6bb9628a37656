"""Where backups are kept: a folder, or a prefix of an S3 object store; each name has its bytes, whole or not at all."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.fs as pafs

from warehouse.errors import BackupError
from warehouse.files.replacing import to_disk
from warehouse.files.turns import file_turn_if_free


class Target(Protocol):
    """Named bytes."""

    def write(self, name: str, content: bytes) -> None:
        """Replace a name's bytes, whole or not at all."""

    def read(self, name: str) -> bytes:
        """Raises BackupError for a missing name."""

    def size(self, name: str) -> int | None:
        """Number of bytes; None for a missing name."""

    def sizes(self, folder: str) -> dict[str, int]:
        """All names below a folder, sorted, with their numbers of bytes."""

    def delete(self, name: str) -> None:
        """Delete a name, if it exists."""

    def flush(self) -> None:
        """Make all written names durable."""


def open_target(place: str) -> Target:
    """The target that ``place`` names; nothing is created or reached yet."""
    return ObjectStore(place) if "://" in place else Folder(Path(place).expanduser().resolve())


class Folder:
    """A folder, readable by its owner only."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._touched: set[Path] = set()

    def __str__(self) -> str:
        return str(self._root)

    @property
    def root(self) -> Path:
        """The folder."""
        return self._root

    def write(self, name: str, content: bytes) -> None:
        """Write durably, but for the folder's entry, which :meth:`flush` makes durable."""
        path = self._root / name
        draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise BackupError(f"the backup cannot be written to {self._root}: {error}") from error
        self._touched.add(path.parent)

    def read(self, name: str) -> bytes:
        """The bytes of a name."""
        try:
            return (self._root / name).read_bytes()
        except OSError as error:
            raise BackupError(f"the backup in {self._root} must have {name}, which cannot be read: {error}") from error

    def size(self, name: str) -> int | None:
        """Number of bytes."""
        try:
            return (self._root / name).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BackupError(f"a backup is in a folder, and {self._root} cannot be read as one: {error}") from error

    def sizes(self, folder: str) -> dict[str, int]:
        """All names below a folder, without unfinished ones."""
        found = {}
        for path in sorted((self._root / folder).rglob("*")):
            with suppress(FileNotFoundError):  # deleted meanwhile
                if path.is_file() and not path.name.startswith("."):
                    found[str(path.relative_to(self._root))] = path.stat().st_size
        return found

    def delete(self, name: str) -> None:
        """Delete a name, if it exists."""
        try:
            (self._root / name).unlink(missing_ok=True)
        except OSError as error:
            raise BackupError(f"{name} in {self._root} cannot be deleted: {error}") from error

    def flush(self) -> None:
        """Make all names durable."""
        for folder in sorted(self._touched, reverse=True):
            to_disk(folder)
        self._touched.clear()


class ObjectStore:
    """A prefix of an S3 object store, with the credentials of the usual variables (``AWS_ACCESS_KEY_ID``, …).

    ``s3://bucket/prefix?endpoint_override=127.0.0.1:9000&scheme=http`` names a store that is not Amazon's.
    """

    def __init__(self, place: str) -> None:
        self._place = place.partition("?")[0]
        try:
            self._files, prefix = pafs.FileSystem.from_uri(place)
        except (pa.ArrowInvalid, OSError) as error:
            raise BackupError(
                f"a backup is in a folder or at s3://bucket/prefix: found {self._place}: {error}"
            ) from None
        self._prefix = prefix.rstrip("/")

    def __str__(self) -> str:
        return self._place

    def write(self, name: str, content: bytes) -> None:
        """Write an object; it appears when it is whole."""
        with self._explained(f"{name} cannot be written"), self._files.open_output_stream(self._path(name)) as stream:
            stream.write(content)

    def read(self, name: str) -> bytes:
        """The bytes of an object."""
        with self._explained(f"{name} cannot be read"), self._files.open_input_stream(self._path(name)) as stream:
            return bytes(stream.read())

    def size(self, name: str) -> int | None:
        """Number of bytes."""
        with self._explained(f"{name} cannot be looked up"):
            (found,) = self._files.get_file_info([self._path(name)])
        return int(found.size) if found.type == pafs.FileType.File else None

    def sizes(self, folder: str) -> dict[str, int]:
        """All names below a folder."""
        wanted = pafs.FileSelector(self._path(folder).rstrip("/"), recursive=True, allow_not_found=True)
        with self._explained(f"{folder} cannot be listed"):
            found = self._files.get_file_info(wanted)
        files = sorted((each for each in found if each.type == pafs.FileType.File), key=lambda each: each.path)
        return {each.path.removeprefix(f"{self._prefix}/"): int(each.size) for each in files}

    def delete(self, name: str) -> None:
        """Delete an object, if it exists."""
        if self.size(name) is not None:
            with self._explained(f"{name} cannot be deleted"):
                self._files.delete_file(self._path(name))

    def flush(self) -> None:
        """Nothing to do: a written object is durable."""

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BackupError(f"{what} in {self._place}: {error}") from error


@contextmanager
def backup_turn(locks: Path, target: Target) -> Iterator[None]:
    """One backup of a home, and one to a folder, at a time; raises BackupError while another runs."""
    places = [locks / "backup.lock"]
    if isinstance(target, Folder):
        target.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        places.append(target.root / ".lock")
    with _turns(places):
        yield


@contextmanager
def _turns(places: list[Path]) -> Iterator[None]:
    if not places:
        yield
        return
    with file_turn_if_free(places[0]) as is_free:
        if not is_free:
            raise BackupError(f"another backup is running (it holds {places[0]}): wait until it has ended")
        with _turns(places[1:]):
            yield
