"""Append-only files with one JSON object a line.

A line counts once it ends. An unfinished last line was interrupted by a full disk or a killed process and never
acknowledged: readers skip it, and the next line replaces it.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from warehouse.errors import SettingError

_Entry = TypeVar("_Entry")


def read_lines(path: Path, read: Callable[[dict[str, Any]], _Entry], *, what: str) -> list[_Entry]:
    """Apply ``read`` to each line, in order; empty without a file.

    Raises SettingError naming the first line that does not hold ``what``: ``read`` raised KeyError, TypeError,
    ValueError, msgspec.ValidationError or SettingError.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    found = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            found.append(read(json.loads(line)))
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError, SettingError) as error:
            raise SettingError(
                f"{path}:{number} must hold one {what}: {error!r}; restore the file from a backup"
            ) from error
    return found


def append_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Append a line durably. The caller holds a lock that all writers hold."""
    with path.open("ab+") as file:
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(file.fileno(), whole)
        file.write(json.dumps(entry).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
