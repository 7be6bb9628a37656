"""The inbox of a home: ``inbox/<source>/[<entity>/]<file>``, where a lender drops files without a command.

A file is taken once it has lain still for a moment; when it is loaded, the inbox lets go of it (the landing directory
keeps it as received). A file that cannot be loaded is set aside beside the others, as ``<file>.refused``, and the run
that tried says why. To try again, mend it and drop it anew, or rename it back.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from warehouse.settings import Settings

#: A file whose last change is younger may still be on its way.
SETTLED_SECONDS = 5.0
_REFUSED = ".refused"
#: Ends of the names of files that are still on their way, or were refused.
_NOT_TAKEN = {".part", _REFUSED}


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
    """Settled files of every source, or of one, by name; hidden, ``.part`` and refused files are not taken."""
    now = time.time() if now is None else now
    found = []
    for path in sorted(settings.inbox.glob(f"{source or '*'}/**/*")):
        parts = path.relative_to(settings.inbox).parts
        if len(parts) > 3 or path.name.startswith(".") or path.suffix in _NOT_TAKEN or not path.is_file():
            continue
        stat = path.stat()
        if now - stat.st_mtime >= SETTLED_SECONDS:
            entity = parts[1] if len(parts) == 3 else None
            found.append(WaitingFile(parts[0], entity, path, stat.st_size, stat.st_mtime))
    return found


def set_aside(file: WaitingFile) -> Path:
    """Rename a file that cannot be loaded, so that no run tries it again; the latest of a name is kept."""
    refused = file.path.with_name(file.path.name + _REFUSED)
    with suppress(FileNotFoundError):  # somebody took it away meanwhile
        file.path.replace(refused)
    return refused
