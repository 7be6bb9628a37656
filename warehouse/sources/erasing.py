"""Landing files without a person's lines: the only way in which a landed file is ever changed."""

import hashlib
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.readers.table_file import TableFile

if TYPE_CHECKING:
    import duckdb

_DRAFT = ".erasing-"


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


def without_lines(file: TableFile, lines: Collection[int]) -> RewrittenFile:
    """A copy of a landing file with the rows on these ``lines`` blank; other rows keep their line numbers."""
    draft = file.path.with_name(f"{_DRAFT}{file.path.name}")
    draft.unlink(missing_ok=True)
    file.write_without(lines, draft)
    with draft.open("rb") as written:
        os.fsync(written.fileno())
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    return RewrittenFile(file.path, draft, sha256)


def never_loaded(con: "duckdb.DuckDBPyConnection", landing: Path) -> list[Path]:
    """Landing files that the lake has no rows of, as a killed load leaves them: nothing says whose rows they have."""
    loaded = {
        landing / source / entity / file
        for source, entity, file in con.execute("select source, entity, file from raw.files").fetchall()
    }
    return sorted(
        path
        for path in landing.glob("*/*/*")
        if path.is_file() and path not in loaded and not path.name.startswith(_DRAFT)
    )
