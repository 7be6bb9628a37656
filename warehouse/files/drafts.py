"""What is being written: hidden beside the name that it will get, and named for the process that writes it.

``.name.<process>-<anything>``. A process that was killed leaves its draft; whoever comes next takes it away by
:func:`remove_abandoned`. Processes are those of this machine: containers that share a home must share their process
ids too.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def draft_file(path: Path) -> Path:
    """Where this thread writes the file of that name; the same each time it asks."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")


@contextmanager
def draft_directory(path: Path) -> Iterator[Path]:
    """A new directory to be renamed to ``path``, on the same file system; taken away where it was not.

    Abandoned drafts beside it go first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.{os.getpid()}-", dir=path.parent))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def remove_abandoned(directory: Path) -> None:
    """Take away what processes that are gone were writing in this directory."""
    for draft in directory.glob(".*.*-*"):
        process = draft.name.rpartition(".")[2].partition("-")[0]
        if not process.isdecimal() or is_alive(int(process)):
            continue
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Whether a process with this id exists, whoever owns it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
