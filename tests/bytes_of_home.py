"""Which files of a home name somebody, compressed ones included, and which others than its owner can read."""

import gzip
import re
from collections.abc import Collection
from pathlib import Path

import duckdb

from warehouse.settings import Settings


def files_that_name(settings: Settings, ids: Collection[str]) -> list[str]:
    """Files below the home, by path, in which one of the ids stands, as it is or within gzip or Parquet.

    Directories alone: what lies beside them is what somebody exported.
    """
    pattern = re.compile(
        rb"(?<![0-9A-Za-z])(?:%s)(?![0-9A-Za-z])" % b"|".join(re.escape(each.encode()) for each in ids)
    )
    files = sorted(path for path in settings.home.glob("*/**/*") if path.is_file())
    return [str(path.relative_to(settings.home)) for path in files if any(map(pattern.search, _contents(path)))]


def _contents(path: Path) -> list[bytes]:
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        return [content, gzip.decompress(content)]
    if content.startswith(b"PAR1"):
        rows = duckdb.execute("select * from read_parquet($1)", [str(path)]).to_arrow_table()
        texts = [column.cast("string").to_pylist() for column in rows.columns]
        return [content, "\n".join(str(text) for column in texts for text in column).encode()]
    return [content]


def open_to_others(directory: Path) -> list[str]:
    """What lies there, and the directory itself, that its group or other users may read, change or enter."""
    return sorted(str(path) for path in [directory, *directory.rglob("*")] if path.lstat().st_mode & 0o077)
