"""Replace files as a whole: readers, and a power cut, see either the old content or the new."""

import os
from pathlib import Path

from warehouse.files.drafts import draft_file, remove_abandoned


def replace_file(path: Path, content: str | bytes, *, mode: int = 0o666) -> None:
    """Replace a file durably and create its folder; ``mode`` of the new file, less the process's umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent)
    draft = draft_file(path)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode | 0o200), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    put_in_place(draft, path, mode=None if mode & 0o200 else mode)


def put_in_place(draft: Path, path: Path, *, mode: int | None = None) -> None:
    """Rename a finished file, on the same file system, to ``path``; content and name are durable."""
    if mode is not None:
        draft.chmod(mode)
    to_disk(draft)
    draft.replace(path)
    to_disk(path.parent)


def to_disk(path: Path) -> None:
    """Flush a file's content, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
