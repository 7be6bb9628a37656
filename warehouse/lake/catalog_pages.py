"""Free the unused pages of an embedded catalog, in a separate process: they still contain deleted data.

Only here does a copy of SQLite other than DuckDB's open the catalog (DuckDB's cannot ``vacuum``). Never do so in a
process that may have the lake attached: POSIX locks belong to a process and a file, so closing the file once drops all
locks of the process (sqlite.org/howtocorrupt.html, 2.2). With both copies in one process, its writer lost rows and
ended with a bus error, since other processes truncated the shared memory that it was reading.
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
    """Rewrite the catalog without unused pages, and empty its journal; does nothing for a PostgreSQL catalog.

    Waits until no query reads: DuckDB's scanner reads ranges of row ids, which this changes. Raises LakeBusyError.
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
        # mode=rw: fails instead of creating the catalog
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)) as catalog:
            # before looking at the journal: excludes current and new readers
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
