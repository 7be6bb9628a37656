"""Drafts: files being written, hidden beside their future name and named for their process.

The name is ``.name.<process>-<anything>``. :func:`remove_abandoned` removes the drafts of killed processes. Processes
are those of this machine: containers that share a home must share a process id namespace.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def draft_file(path: Path) -> Path:
    """The path of this thread's draft of a file; always the same."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")


@contextmanager
def draft_directory(path: Path) -> Iterator[Path]:
    """A new directory beside ``path``, to be renamed to it, else removed; removes abandoned drafts there first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.{os.getpid()}-", dir=path.parent))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def remove_abandoned(directory: Path) -> None:
    """Remove the drafts of ended processes from this directory."""
    for draft in filter(is_draft, directory.glob(".*.*-*")):
        if is_alive(_process_of(draft)):
            continue
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def is_draft(path: Path) -> bool:
    """Whether a file or folder has the name of a draft."""
    process, dash, _ = path.name.rpartition(".")[2].partition("-")
    return path.name.startswith(".") and bool(dash) and process.isdecimal()


def _process_of(draft: Path) -> int:
    return int(draft.name.rpartition(".")[2].partition("-")[0])


def is_alive(process: int) -> bool:
    """Whether a process with this id exists, whoever owns it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
