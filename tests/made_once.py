"""What tests of several processes read: the first of them makes it, the others wait for that, and nobody changes it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from warehouse.files.turns import file_turn

#: Among pytest's own temporary folders, which it deletes some sessions later; tests/conftest.py says where.
_place: list[Path] = []


def keep_in(place: Path) -> None:
    """Keep everything in this folder, which all processes of the test run name."""
    _place[:] = [place]


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name, which ``make`` filled once in this test run."""
    directory = _place[0] / name
    with file_turn(_place[0] / f"{name}.lock"):
        if not (done := _place[0] / f"{name}.done").exists():
            shutil.rmtree(directory, ignore_errors=True)  # half made by one that failed
            directory.mkdir(parents=True)
            make(directory)
            done.touch()
    return directory


def own_directory() -> Path:
    """A new folder for this process, which lives as long as the test run."""
    directory = _place[0] / f"own-{uuid4().hex}"
    directory.mkdir(parents=True)
    return directory
