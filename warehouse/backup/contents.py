"""What of a home is backed up, and how each file is read.

SQLite files are copied by SQLite, everything else as bytes. A process that closes a SQLite file which it opened in
another way drops SQLite's locks on it, so they are recognised by their names alone. Files that a lender sent are copied
as bytes, whatever their names.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from warehouse.files.drafts import is_draft
from warehouse.settings import Settings

DATABASES = {".sqlite", ".db"}
JOURNALS = ("-wal", "-shm", "-journal")


def left_out(settings: Settings) -> dict[Path, str]:
    """Places that are not backed up → why."""
    return {
        settings.lake_catalog.parent: "the catalog and its data files are copied by name",
        settings.online_store: "rebuilt from the lake by a restore",
        settings.home / "dev": "analysts' lakes: `dbt build` rebuilds them",
        settings.home / "locks": "locks of running processes",
        settings.backup_records: "the record of the newest backup, and drafts",
        settings.doors: "sign-in sessions: people sign in again",
        settings.call_counts: "counts of the current minute",
        settings.counters: "counters of running API workers",
        settings.logs: "output of processes that no longer run",
        settings.sql_history: "what somebody typed",
    }


def databases(settings: Settings) -> list[Path]:
    """The SQLite files of a home but the catalog, the decision log first.

    The log must be older than the catalog: entries that it says are in the lake are then in the copied lake too.
    """
    found = [path for path in _files(settings) if _is_database(settings, path)]
    return sorted(found, key=lambda path: (path != settings.outbox, path))


def other_files(settings: Settings) -> Iterator[Path]:
    """The files of a home that are not databases, without drafts and journals."""
    for path in _files(settings):
        is_journal = path.name.endswith(JOURNALS) and _is_database(
            settings, path.with_name(path.name.rpartition("-")[0])
        )
        if not _is_database(settings, path) and not is_journal and not is_draft(path):
            yield path


def _is_database(settings: Settings, path: Path) -> bool:
    is_received = path.is_relative_to(settings.inbox) or path.is_relative_to(settings.landing)
    return path.suffix in DATABASES and not is_received


def watched(settings: Settings) -> tuple[tuple[str, int, int], ...]:
    """What must not change during a backup: which models are served and registered, and erasures.

    Both change several places that are copied one after the other.
    """
    found = []
    for folder in (settings.deployments, settings.erasures):
        for path in sorted(folder.rglob("*")):
            if path != settings.figures and not is_draft(path) and path.is_file():
                with suppress(FileNotFoundError):  # it went meanwhile: the next look differs
                    status = path.stat()
                    found.append((str(path), status.st_ino, status.st_mtime_ns))
    return tuple(found)


def links(settings: Settings) -> list[Path]:
    """Symbolic links, which are not followed: what they lead to is not of the home, and not in its backups."""
    return [path for path in _entries(settings) if path.is_symlink()]


def _files(settings: Settings) -> Iterator[Path]:
    return (path for path in _entries(settings) if not path.is_symlink() and path.is_file())


def _entries(settings: Settings) -> Iterator[Path]:
    """All but folders, of folders that are not left out; a link is not followed."""
    excluded = left_out(settings).keys()
    waiting = [settings.home]
    while waiting:
        try:
            inside = sorted(waiting.pop().iterdir())
        except FileNotFoundError:
            continue  # a run or a batch was deleted meanwhile, with its folder
        for path in inside:
            if path in excluded:
                continue
            if path.is_symlink() or not path.is_dir():
                yield path
            elif not is_draft(path):
                waiting.append(path)
