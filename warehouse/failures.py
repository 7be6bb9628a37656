"""Show errors that the user can fix as one message; only errors of the program get a traceback."""

import errno
import sqlite3

from warehouse.errors import LoanlakeError

_UNWRITABLE = {
    errno.EROFS: "its file system is read-only",
    errno.EACCES: "this user may not",
    errno.EPERM: "this user may not",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "this user's quota is used up",
}
#: SQLite's messages, alone or within DuckDB's, for a damaged or unwritable file.
_DAMAGED = (
    "file is not a database",
    "database disk image is malformed",
    "disk I/O error",
    "attempt to write a readonly database",
    "unable to open database file",
    "database or disk is full",
)


def explained(error: Exception) -> str | None:
    """One message with what was found and what to do; None for an error in the program."""
    text = " ".join(str(error).split())
    if isinstance(error, LoanlakeError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _UNWRITABLE and error.filename:
        return (
            f"{error.filename} cannot be opened or written: {_UNWRITABLE[error.errno]}. LOANLAKE_HOME must be a folder "
            "that this user may write to, on a disk with room"
        )
    # by name: importing DuckDB would delay every command
    is_of_duckdb = type(error).__module__.partition(".")[0] in ("duckdb", "_duckdb")
    if (is_of_duckdb or isinstance(error, sqlite3.Error)) and any(words in text for words in _DAMAGED):
        return f"a database of the home is damaged or cannot be written: {text}. docs/runbook.md says what to restore"
    if is_of_duckdb and type(error).__name__ == "IOException" and ".parquet" in text:
        return f"a data file of the lake cannot be read: {text}. `loanlake status` says what brings its rows back"
    return None
