"""Six processes write to one lake at the same time, and read it: with the writer lease, and without it.

The peer is the same lake, catalog and journal mode, only without turns. A commit is kept when its insert
returned without an error; readers are the same six processes, each reading after each commit.
"""

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.comparison import Comparison
from warehouse.lake.connection import connect, lease, writer
from warehouse.settings import Settings

PROCESSES = 6
COMMITS = 25  # of each process


@dataclass(frozen=True)
class Tally:
    """What one process, or all of them, managed."""

    kept: int
    lost: int
    failed_reads: int
    read_seconds: tuple[float, ...]


def run() -> list[Comparison]:
    """Commits kept, and the wait of a reader while others write against its wait alone."""
    with _home() as settings:
        together = _load(settings, PROCESSES, take_turns=True)
        alone = _load(settings, 1, take_turns=True)
    with _home() as settings:
        unleased = _load(settings, PROCESSES, take_turns=False)
    asked = PROCESSES * COMMITS
    return [
        Comparison(
            what=f"commits kept of {asked}, {PROCESSES} processes writing and reading",
            peer="the same without a lease",
            unit="commits",
            ours=together.kept,
            peers=unleased.kept,
            higher_is_better=True,
        ),
        Comparison(
            what=f"reads that failed of {asked}, the same load",
            peer="the same without a lease",
            unit="reads",
            ours=together.failed_reads,
            peers=unleased.failed_reads,
            higher_is_better=False,
        ),
        Comparison(
            what=f"median read while {PROCESSES} processes write",
            peer="the same read with one process",
            unit="ms",
            ours=1000 * statistics.median(together.read_seconds),
            peers=1000 * statistics.median(alone.read_seconds),
            higher_is_better=False,
        ),
    ]


def work(home: str, number: int, take_turns: bool) -> Tally:
    """One process: insert and read in turn, counting what fails."""
    settings = Settings.from_environment({"LOANLAKE_HOME": home})
    kept = lost = failed_reads = 0
    read_seconds = []
    with connect(settings, read_only=False) as con:
        for commit in range(COMMITS):
            try:
                with lease("benchmark", settings) if take_turns else nullcontext():
                    con.execute("insert into monitoring.commits values ($1, $2)", [number, commit])
                kept += 1
            except duckdb.Error:
                lost += 1
            started = time.perf_counter()
            try:
                con.execute("select count(*) from monitoring.commits").fetchall()
                read_seconds.append(time.perf_counter() - started)
            except duckdb.Error:
                failed_reads += 1
    return Tally(kept, lost, failed_reads, tuple(read_seconds))


def _load(settings: Settings, processes: int, *, take_turns: bool) -> Tally:
    # spawned, not forked: DuckDB's threads do not survive a fork
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        tallies = pool.starmap(work, [(str(settings.home), number, take_turns) for number in range(processes)], 1)
    return Tally(
        kept=sum(tally.kept for tally in tallies),
        lost=sum(tally.lost for tally in tallies),
        failed_reads=sum(tally.failed_reads for tally in tallies),
        read_seconds=tuple(seconds for tally in tallies for seconds in tally.read_seconds),
    )


@contextmanager
def _home() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_environment({"LOANLAKE_HOME": str(Path(folder) / "home")})
        with writer("benchmark", settings) as con:
            con.execute("create table monitoring.commits (process integer, number integer)")
        yield settings
