"""What a backup has: its files, each as a list of parts, and facts to check a restored home against."""

from datetime import datetime

import msgspec

FORMAT = 1


class StoredFile(msgspec.Struct, frozen=True):
    """A file of the home; ``parts``: SHA-256 of each, in order.

    ``stamp``: size, times of change, and inode of the original, None for a copied database. A file with the same stamp
    in the next backup is not read again.
    """

    path: str
    n_bytes: int
    modified_ns: int
    parts: tuple[str, ...]
    stamp: tuple[int, ...] | None = None


class Manifest(msgspec.Struct, frozen=True):
    """A complete backup.

    ``home_id``: which home or team it is of, wherever that is. ``started_at``, UTC: everything committed before is in
    it. ``lake_snapshot``: the lake's newest, None without a lake; ``tables``: their rows in it. ``n_decisions``:
    entries in the API's log, in the lake or not. ``artifact_root``: where a team's MLflow had its artifacts, None of an
    embedded home.
    """

    format: int
    backup_id: str
    home: str
    home_id: str
    started_at: datetime
    finished_at: datetime
    versions: dict[str, str]
    lake_snapshot: int | None
    tables: dict[str, int]
    n_decisions: int
    files: tuple[StoredFile, ...]
    artifact_root: str | None = None

    @property
    def is_of_team(self) -> bool:
        """Whether it has what a team keeps on its servers."""
        return self.artifact_root is not None

    @property
    def n_bytes(self) -> int:
        """Size of all files."""
        return sum(file.n_bytes for file in self.files)
