"""Copy a SQLite database while other processes write to it."""

import sqlite3
from contextlib import closing
from pathlib import Path

_BUSY_SECONDS = 20.0


def copy_sqlite(path: Path, to: Path) -> None:
    """One committed state of a database, as a file of its own without a journal.

    A database in WAL mode makes nobody wait; in the other modes, writers wait while it is copied. Raises
    sqlite3.DatabaseError if the copy is damaged: it would not be found until it is needed.
    """
    # `mode=ro`: a missing file is an error, not a new database
    with (
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as source,
        closing(sqlite3.connect(to)) as copy,
    ):
        source.backup(copy)
        # without a second file beside it, whatever the original's mode
        copy.execute("pragma journal_mode = delete").fetchall()
        found = copy.execute("pragma quick_check(1)").fetchall()
    if found != [("ok",)]:
        raise sqlite3.DatabaseError(f"{path} is damaged: {found[0][0]}")
