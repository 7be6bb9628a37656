"""Landing files without a person's lines: the only way in which a landed file is ever changed."""

import gzip
import hashlib
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from warehouse.sources.csv_file import CsvFile
from warehouse.sources.parquet_file import ParquetFile, is_parquet


@dataclass(frozen=True)
class RewrittenFile:
    """A file that will replace the landing file at ``path``."""

    path: Path
    draft: Path
    sha256: str

    def put(self) -> None:
        """Replace the file; idempotent."""
        if self.draft.exists():
            self.draft.chmod(stat.S_IRUSR)
            self.draft.replace(self.path)


def without_lines(path: Path, lines: Collection[int], *, notes: Collection[str] = ()) -> RewrittenFile:
    """A copy of a landing file with the rows on these ``lines`` blank; other rows keep their line numbers."""
    draft = path.with_name(f".erasing-{path.name}")
    draft.unlink(missing_ok=True)
    if is_parquet(path):
        ParquetFile(path).write_without(lines, draft)
    else:
        file = CsvFile(path, notes=tuple(notes))
        with draft.open("wb") as output:
            if _is_gzip(path):
                with gzip.GzipFile(fileobj=output, mode="wb", filename="", mtime=0) as packed:
                    file.write_without(lines, cast(BinaryIO, packed))
            else:
                file.write_without(lines, output)
    with draft.open("rb") as file_written:
        os.fsync(file_written.fileno())
        sha256 = hashlib.file_digest(file_written, "sha256").hexdigest()
    return RewrittenFile(path, draft, sha256)


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
