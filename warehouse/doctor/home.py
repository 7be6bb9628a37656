"""Checks of what is on this machine: the home, its decision log, its online store; and the lake."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from warehouse.decision_log.outbox import count_in_outbox
from warehouse.doctor.finding import Finding, checked
from warehouse.errors import NoLakeError
from warehouse.lake.connection import connect, current_snapshot
from warehouse.settings import Settings

_LEAST_FREE = 2e9
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
        return Finding("home", "warning", found, "Free space: decisions are refused once the disk is full.")
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
    return Finding("decision log", "ok", f"{count_in_outbox(settings):,} entries wait on this machine")


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
