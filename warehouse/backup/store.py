"""The backups of a target: parts by content, manifests by id, in plain or encrypted.

::

    TARGET/backup.json          format, and how it is encrypted
    TARGET/parts/ab/ab12…       pieces of files, each of at most 8 MiB
    TARGET/backups/ID           the manifest of a complete backup
    TARGET/erasures/MARK        an erased person, as a keyed hash (warehouse.backup.erased)
    TARGET/damaged/ab12…        a piece that was found damaged, and is not used any more
"""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from warehouse.backup.manifest import FORMAT, Manifest, StoredFile
from warehouse.backup.sealing import Encrypted, Plain, Seal, is_equal
from warehouse.backup.target import Folder, Target, open_target
from warehouse.errors import BackupError, NotFoundError

#: Pieces of fixed size: of a SQLite file that grows at its end, earlier pieces stay the same.
PART_BYTES = 8 * 2**20
_HEAD = "backup.json"
_BACKUPS = "backups"
_PARTS = "parts"
_DAMAGED = "damaged"
#: An erasure may be listed before the first backup.
ERASURES = "erasures"


class _Head(msgspec.Struct, frozen=True):
    format: int
    salt: str | None = None
    check: str | None = None


@dataclass
class Store:
    """An opened target; ``n_bytes_written`` and ``n_parts_written`` count what was copied."""

    target: Target
    seal: Seal
    n_bytes_written: int = 0
    n_parts_written: int = 0
    head: bytes = field(default=b"", repr=False)
    _listed: dict[str, int] | None = field(default=None, repr=False)

    def keep_part(self, content: bytes) -> str:
        """Keep bytes unless the target has them; returns their SHA-256."""
        digest = hashlib.sha256(content).digest()
        name = self._part(digest.hex())
        if self._sizes.get(name) != len(content) + self.seal.n_added:
            kept = self.seal.close(name, content)
            self.target.write(name, kept)
            self._sizes[name] = len(kept)
            self.n_parts_written += 1
            self.n_bytes_written += len(kept)
        return digest.hex()

    def keep_stream(self, stream: BinaryIO) -> tuple[tuple[str, ...], int]:
        """Keep the rest of a stream; returns its parts and its number of bytes."""
        parts, n_bytes = [], 0
        while content := stream.read(PART_BYTES):
            parts.append(self.keep_part(content))
            n_bytes += len(content)
        return tuple(parts), n_bytes

    def has_parts(self, file: StoredFile) -> bool:
        """Whether the target has all parts of a file, none of them cut short; their content is not read."""
        n_left = file.n_bytes
        for part in file.parts:
            n_bytes = min(n_left, PART_BYTES)
            if self._sizes.get(self._part(part)) != n_bytes + self.seal.n_added:
                return False
            n_left -= n_bytes
        return True

    def read_part(self, digest: str) -> bytes:
        """The bytes of a part; raises BackupError if they are missing or changed."""
        name = self._part(digest)
        return self._opened(name, digest, self.target.read(name))

    def set_aside(self, digest: str) -> bool:
        """Move a damaged part away, so that the next backup copies it again; False if it is missing, or whole.

        Raises BackupError if the target does not allow it. The caller holds the target's turn.
        """
        name = self._part(digest)
        if self.target.size(name) is None:
            return False
        kept = self.target.read(name)
        try:
            self._opened(name, digest, kept)
        except BackupError:
            self.target.write(f"{_DAMAGED}/{name.rpartition('/')[2]}", kept)
            self.target.flush()
            self.target.delete(name)
            self._listed = None
            return True
        return False  # what could not be read a moment ago can be now

    def _opened(self, name: str, digest: str, kept: bytes) -> bytes:
        content = self.seal.open(name, kept)
        if hashlib.sha256(content).hexdigest() != digest:
            raise BackupError(f"{name} in {self.target} is damaged: its checksum differs from its name")
        return content

    def plain_path(self, digest: str) -> Path | None:
        """The file that holds a part as it is, if there is one."""
        if isinstance(self.target, Folder) and isinstance(self.seal, Plain):
            return self.target.root / self._part(digest)
        return None

    def put_manifest(self, manifest: Manifest) -> None:
        """Complete a backup: its parts are durable before its manifest appears.

        Raises BackupError if another process began the target at the same moment: its key could not open this backup.
        """
        if self.target.read(_HEAD) != self.head:
            raise BackupError(f"another process began {self.target} at the same moment: back up again")
        self.target.flush()
        name = f"{_BACKUPS}/{manifest.backup_id}"
        self.target.write(name, self.seal.close(name, msgspec.json.encode(manifest)))
        self.target.flush()

    def backup_ids(self) -> list[str]:
        """The complete backups, oldest first."""
        return [name.rpartition("/")[2] for name in self.target.sizes(_BACKUPS)]

    def manifest(self, backup_id: str | None = None) -> Manifest:
        """A backup's manifest, by default the newest's; raises NotFoundError, or BackupError if it is damaged."""
        known = self.backup_ids()
        if backup_id is None and known:
            backup_id = known[-1]
        if backup_id is None or backup_id not in known:
            there = f"there are {', '.join(known)}" if known else "there is none"
            raise NotFoundError(f"no complete backup {backup_id or ''} in {self.target}: {there}".replace("  ", " "))
        name = f"{_BACKUPS}/{backup_id}"
        try:
            found = msgspec.json.decode(self.seal.open(name, self.target.read(name)), type=Manifest)
        except msgspec.DecodeError as error:
            raise BackupError(f"{name} in {self.target} is damaged: {error}; restore another backup") from error
        if found.format != FORMAT:
            raise BackupError(f"{name} has the format {found.format}; this version of Loanlake reads {FORMAT}")
        return found

    def prune(self, *, keep: int, made: str | None = None) -> tuple[list[str], int]:
        """Delete all but the newest backups, and parts that none needs; returns deleted ids, and number of parts.

        ``made``: the backup just made, which stays though a clock that was ahead has named others later. Also deletes
        what interrupted backups left. The caller holds the target's turn.
        """
        known = self.backup_ids()
        kept = [each for each in known if each in known[-keep:] or each == made]
        old = [each for each in known if each not in kept]
        # before anything is deleted: a manifest that cannot be read protects its parts
        needed = {self._part(part) for each in kept for file in self.manifest(each).files for part in file.parts}
        for backup_id in old:
            self.target.delete(f"{_BACKUPS}/{backup_id}")
        unneeded = [name for name in self.target.sizes(_PARTS) if name not in needed]
        for name in unneeded:
            self.target.delete(name)
        self._listed = None
        return old, len(unneeded)

    def _part(self, digest: str) -> str:
        name = self.seal.name_of(bytes.fromhex(digest))
        return f"{_PARTS}/{name[:2]}/{name}"

    @property
    def _sizes(self) -> dict[str, int]:
        """All parts by name, listed once: an object store answers a question for each in 20 ms."""
        if self._listed is None:
            self._listed = self.target.sizes(_PARTS)
        return self._listed


def open_store(place: str, key: str | None, *, create: bool = False) -> Store:
    """The backups at ``place``; ``create``: begins a new target there.

    Raises BackupError if there are none, if they are encrypted and the key is missing or wrong, or the other way.
    """
    target = open_target(place)
    if target.size(_HEAD) is None:
        if not create:
            raise NotFoundError(f"there is no backup in {target}: name the place that `loanlake backup` wrote to")
        _begin(target, key)
    content = target.read(_HEAD)
    try:
        head = msgspec.json.decode(content, type=_Head)
    except msgspec.DecodeError as error:
        raise BackupError(f"{_HEAD} in {target} is damaged: {error}; every backup there needs it") from error
    if head.format != FORMAT:
        raise BackupError(f"{target} has backups of format {head.format}; this version of Loanlake reads {FORMAT}")
    return Store(target, _seal(target, head, key), head=content)


def _begin(target: Target, key: str | None) -> None:
    if any(not name.startswith((f"{ERASURES}/", ".")) for name in target.sizes("")):
        raise BackupError(f"{target} has files that are not backups: name an empty folder or prefix")
    head = _Head(FORMAT)
    if key is not None:
        salt = secrets.token_bytes(16)
        head = _Head(FORMAT, salt.hex(), Encrypted(key, salt).check)
    target.write(_HEAD, msgspec.json.encode(head))


def _seal(target: Target, head: _Head, key: str | None) -> Seal:
    if head.salt is None or head.check is None:
        if key is not None:
            raise BackupError(
                f"the backups in {target} are not encrypted, and LOANLAKE_BACKUP_KEY is set: name an empty target for "
                "encrypted ones, or unset the key"
            )
        return Plain()
    if key is None:
        raise BackupError(f"the backups in {target} are encrypted: set LOANLAKE_BACKUP_KEY to their key")
    found = Encrypted(key, bytes.fromhex(head.salt))
    if not is_equal(found.check, head.check):
        raise BackupError(f"LOANLAKE_BACKUP_KEY is not the key of the backups in {target}")
    return found


def all_parts(manifest: Manifest) -> Iterator[str]:
    """Each part of a backup once, in the order of its files."""
    yield from dict.fromkeys(part for file in manifest.files for part in file.parts)
