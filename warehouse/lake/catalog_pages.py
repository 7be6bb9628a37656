"""Give the free pages of an embedded catalog back, in a process of its own: until then they hold what was deleted.

The only place where a copy of SQLite other than DuckDB's opens the catalog (DuckDB's runs no ``vacuum``). Never in a
process that has the lake attached, or may have: POSIX locks belong to a process and a file, so that whatever is closed
takes the locks of all others in its process along (sqlite.org/howtocorrupt.html, 2.2). With such a copy in one process,
rows of its writer were lost, and it ended with a bus error, since others cut the shared memory that it was reading.
"""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from warehouse.errors import LakeBusyError, LakeError
from warehouse.settings import REPOSITORY, Settings

_SECONDS_BETWEEN_TRIES = 0.05
_IS_READ = 75  # exit status: "temporary failure" in sysexits.h


def give_free_pages_back(settings: Settings, *, seconds: float = 20.0) -> None:
    """Rewrite the catalog without its free pages, and empty its journal; a PostgreSQL catalog is left to its server.

    Waits for a moment in which no query reads: DuckDB's scanner reads ranges of row ids, which this changes. Raises
    LakeBusyError where there was none within ``seconds``.
    """
    if settings.catalog is not None:
        return
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "warehouse.lake.catalog_pages", str(settings.lake_catalog), str(seconds)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == _IS_READ:
        raise LakeBusyError(
            f"the catalog's free pages, which hold deleted data, can be released only while no process reads: after "
            f"{seconds:g} s a query still reads {settings.lake_catalog}; end it and run `loanlake data maintain "
            "--grace-hours 0` again"
        )
    if done.returncode != 0:
        raise LakeError(
            f"the free pages of {settings.lake_catalog} cannot be given back: {done.stderr.strip()[-500:] or 'killed'}"
        )


def _vacuum(path: Path, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while True:
        # mode=rw: the catalog is there, or this fails
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)) as catalog:
            # held before the journal is looked at, this locks out whoever is reading, or would begin to
            catalog.execute("pragma locking_mode = exclusive")
            try:
                catalog.execute("vacuum")
                catalog.execute("pragma wal_checkpoint(truncate)").fetchall()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() >= deadline:
                    return _IS_READ
            else:
                return 0
        time.sleep(_SECONDS_BETWEEN_TRIES)


if __name__ == "__main__":
    sys.exit(_vacuum(Path(sys.argv[1]), float(sys.argv[2])))
