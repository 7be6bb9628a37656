"""Checks of what is on this machine: the home, its decision log, its online store; and the lake."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from warehouse.decision_log.outbox import backlog, count_in_outbox
from warehouse.decision_log.outbox import connect as connect_outbox
from warehouse.decision_log.second_copy import require_disk
from warehouse.doctor.finding import Finding, checked
from warehouse.errors import NoLakeError
from warehouse.lake.connection import connect, current_snapshot
from warehouse.settings import Settings

_LEAST_FREE = 2e9
#: A team's machine hands entries over several times a second, if it serves.
_HANDED_OVER_SECONDS = 60.0
_FREE = "Free space: decisions are refused once the disk is full."
_OTHERS = 0o077


def home_findings(settings: Settings) -> Iterator[Finding | None]:
    """The checks that every home has."""
    yield checked(
        "home", lambda: _home(settings), advice="Give this user the directory LOANLAKE_HOME, with write access."
    )
    yield checked(
        "decision log",
        lambda: _log(settings),
        advice="Restore serving/outbox.sqlite with its -wal file (docs/runbook.md).",
    )
    yield checked(
        "second copy",
        lambda: _second_copy(settings),
        advice="The API refuses decisions until it is mounted (docs/recovery.md).",
    )
    yield checked(
        "lake", lambda: _lake(settings), advice="Check LOANLAKE_CATALOG and LOANLAKE_LAKE_DATA, and the servers below."
    )


def _home(settings: Settings) -> Finding:
    home = settings.home
    if not home.exists():
        return Finding("home", "ok", f"{home} does not exist yet; the first command creates it")
    probe = home / f".doctor-{os.getpid()}"
    probe.write_bytes(b"")
    probe.unlink()
    free = shutil.disk_usage(home).free
    found = f"{home}, {free / 1e9:,.0f} GB free"
    if free < _LEAST_FREE:
        return Finding("home", "warning", found, _FREE)
    if home.stat().st_mode & _OTHERS:
        return Finding("home", "warning", f"{found}, open to other users", f"Run `chmod 700 {home}`.")
    return Finding("home", "ok", found)


def _log(settings: Settings) -> Finding:
    path: Path = settings.outbox
    if not path.exists():
        return Finding("decision log", "ok", "no decision was made on this machine yet")
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as con:
        ((said,),) = con.execute("pragma quick_check(1)").fetchall()
    if said != "ok":
        return Finding("decision log", "failed", f"{path}: {said}", "Restore it (docs/runbook.md).")
    n_waiting, oldest = count_in_outbox(settings), _oldest(settings)
    found = f"{n_waiting:,} entries wait on this machine"
    if settings.catalog is not None and oldest is not None and time.time() - oldest > _HANDED_OVER_SECONDS:
        return Finding(
            "decision log",
            "warning",
            f"{found}, the oldest since {datetime.fromtimestamp(oldest, UTC):%Y-%m-%d %H:%M:%S} UTC",
            "Start `loanlake serve`, which hands them over to the team's server; if it runs, its log says why not.",
        )
    return Finding("decision log", "ok", found)


def _oldest(settings: Settings) -> float | None:
    """Unix time of the oldest entry that neither lake nor server has; None without one."""
    connection = connect_outbox(settings)
    if connection is None:
        return None
    with closing(connection):
        found = [each.oldest_at for each in backlog(connection).values() if each.oldest_at is not None]
    return min(found, default=None)


def _second_copy(settings: Settings) -> Finding | None:
    folder = settings.decision_copy
    if folder is None:
        return None
    require_disk(folder, settings.decision_copy_disk)
    if not folder.exists():
        return Finding("second copy", "ok", f"{folder} does not exist yet; the first decision creates it")
    free = shutil.disk_usage(folder).free
    found = f"{folder}, {free / 1e9:,.0f} GB free"
    if settings.home.exists() and folder.stat().st_dev == settings.home.stat().st_dev:
        return Finding(
            "second copy",
            "warning",
            f"{found}, on the file system of the home: losing that loses both",
            "Mount the other disk, or name a folder on one in LOANLAKE_DECISION_COPY.",
        )
    if free < _LEAST_FREE:
        return Finding("second copy", "warning", found, _FREE)
    return Finding("second copy", "ok", found)


def _lake(settings: Settings) -> Finding:
    try:
        with closing(connect(settings)) as con:
            snapshot = current_snapshot(con)
            ((ducklake,),) = con.execute(
                "select extension_version from duckdb_extensions() where extension_name = 'ducklake'"
            ).fetchall()
            ((duckdb,),) = con.execute("select version()").fetchall()
    except NoLakeError as error:
        return Finding("lake", "warning", str(error), "Load a file: `loanlake ingest` or `loanlake run`.")
    return Finding("lake", "ok", f"snapshot {snapshot:,}, DuckDB {duckdb}, DuckLake {ducklake}")
