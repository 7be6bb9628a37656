"""The inbox of a home: ``inbox/<source>/[<entity>/]<file>``, where a lender drops files without a command.

A file is taken once it has lain still for a moment; when it is loaded, the inbox lets go of it (the landing directory
keeps it as received). A file that cannot be loaded stays, and the run that tried says why.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from warehouse.settings import Settings

#: A file whose last change is younger may still be on its way.
SETTLED_SECONDS = 5.0


@dataclass(frozen=True)
class WaitingFile:
    """A file in the inbox; ``entity`` is None where it lies directly under its source."""

    source: str
    entity: str | None
    path: Path
    n_bytes: int
    changed_at: float

    @property
    def identity(self) -> str:
        """Changes when the file is replaced or written again."""
        return f"{self.path}:{self.n_bytes}:{self.changed_at}"


def waiting_files(settings: Settings, source: str | None = None, *, now: float | None = None) -> list[WaitingFile]:
    """Settled files of every source, or of one, by name; hidden and ``.part`` files are not taken."""
    now = time.time() if now is None else now
    found = []
    for path in sorted(settings.inbox.glob(f"{source or '*'}/**/*")):
        parts = path.relative_to(settings.inbox).parts
        if len(parts) > 3 or path.name.startswith(".") or path.suffix == ".part" or not path.is_file():
            continue
        stat = path.stat()
        if now - stat.st_mtime >= SETTLED_SECONDS:
            entity = parts[1] if len(parts) == 3 else None
            found.append(WaitingFile(parts[0], entity, path, stat.st_size, stat.st_mtime))
    return found
