"""The feature build of the simulated lender at one and ten million statements: seconds, peak memory, and how both grow.

Ours is a build after one new month of decisions, statements and outcomes; its peer is the build of everything, by the
same models. Both are ``dbt run``, its own start included, in a home on disk. ``LOANLAKE_BENCH_STATEMENTS=1,10,100``
(millions) sets other sizes; a hundred million are measured only then.
"""

import math
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb

from benchmarks.comparison import Comparison
from warehouse.lake.connection import connect
from warehouse.settings import DBT_PROJECT_DIR, Settings, memory_bytes
from warehouse.sources import ingest_files
from warehouse.sources.simulated.generate import generate
from warehouse.sources.simulated.simulation import Simulation

#: The simulated lender has about 25 statements an application.
APPLICATIONS_A_MILLION = 40_000
MONTHS = 48
LIMIT_GB = 8.0
#: What DuckDB's buffers may take of it; results, dbt and the interpreter take the rest.
QUERY_GB = 4.5
_NEWEST = {"applications": "decided_at", "statements": "known_at", "outcomes": "known_at"}


@dataclass(frozen=True)
class Build:
    """One ``dbt run``: how long it took, and the most memory its processes held together."""

    seconds: float
    peak_gb: float


def run() -> list[Comparison]:
    """At one and ten million statements, or at the given sizes."""
    sizes = [int(millions) for millions in os.environ.get("LOANLAKE_BENCH_STATEMENTS", "1,10").split(",")]
    measured = [_measure(millions) for millions in sizes]
    for (n_rows, full, _), (n_later, later, _) in pairwise(measured):
        exponent = math.log(later.seconds / full.seconds) / math.log(n_later / n_rows)
        print(f"feature build, {n_rows:,} to {n_later:,} statements: seconds grow as n^{exponent:.2f}", file=sys.stderr)
    comparisons = []
    for n_rows, full, new_month in measured:
        for what, build in (("full", full), ("one new month", new_month)):
            print(
                f"feature build, {n_rows:,} statements, {what}: {build.seconds:.1f} s, peak {build.peak_gb:.2f} GB",
                file=sys.stderr,
            )
        peak = max(full.peak_gb, new_month.peak_gb)
        if peak > LIMIT_GB:
            raise RuntimeError(f"a build must need at most {LIMIT_GB:g} GB: {n_rows:,} statements took {peak:.1f} GB")
        comparisons.append(
            Comparison(
                what=f"dbt run after one new month, {n_rows:,} statements of {MONTHS} months",
                peer="a full build of the same",
                unit="s",
                ours=new_month.seconds,
                peers=full.seconds,
                higher_is_better=False,
            )
        )
    return comparisons


def _measure(millions: int) -> tuple[int, Build, Build]:
    simulation = Simulation(applications=millions * APPLICATIONS_A_MILLION, months=MONTHS, seed=7)
    with tempfile.TemporaryDirectory(dir=os.environ.get("LOANLAKE_BENCH_DIRECTORY")) as name:
        directory = Path(name)
        settings = Settings.from_environment({"LOANLAKE_HOME": str(directory / "home")})
        paths = generate(simulation, directory / "files")
        _load(settings, _parts(paths, directory, "<"))
        _build(settings)
        _load(settings, _parts(paths, directory, ">="))
        new_month = _build(settings)
        full = _build(settings, "--full-refresh")
        with connect(settings) as con:
            row = con.execute("select count(*) from core.int_statements").fetchone()
        return int(row[0]) if row else 0, full, new_month


def _parts(paths: dict[str, Path], directory: Path, side: str) -> dict[str, Path]:
    """The files' rows before (``<``) or in (``>=``) the lender's last month of decisions, by when they were known."""
    parts = {}
    for entity, column in _NEWEST.items():
        parts[entity] = directory / f"{entity}-{'before' if side == '<' else 'month'}.parquet"
        last = f"(select date_trunc('month', max(decided_at)) from '{paths['applications']}')"
        duckdb.execute(f"copy (from '{paths[entity]}' where {column} {side} {last}) to '{parts[entity]}'")
    return parts


def _load(settings: Settings, parts: dict[str, Path]) -> None:
    for entity, path in parts.items():
        ingest_files("simulated", [path], settings, entity)
        path.unlink()


def _build(settings: Settings, *arguments: str) -> Build:
    started = time.perf_counter()
    process = subprocess.Popen(
        [
            Path(sys.executable).with_name("dbt"),
            "--quiet",
            "run",
            "--target",
            "prod",
            "--exclude",
            "portfolio",
            "monitoring",
            *arguments,
        ],
        cwd=DBT_PROJECT_DIR,
        env={
            **os.environ,
            "LOANLAKE_HOME": str(settings.home),
            "LOANLAKE_QUERY_MEMORY_SHARE": str(min(QUERY_GB * 1e9 / memory_bytes(), 1)),
            "DBT_TARGET_PATH": str(settings.home / "target"),
            "DBT_LOG_PATH": str(settings.home / "logs"),
        },
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _memory_gb(process.pid))
        time.sleep(0.1)
    if process.returncode != 0:
        raise RuntimeError(f"dbt ended with {process.returncode}: see above")
    return Build(time.perf_counter() - started, peak)


def _memory_gb(process: int) -> float:
    """What the process and those it started hold in memory, by Linux's own account."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return 0.0  # ended meanwhile
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return (int(found[1]) / 1e6 if found else 0.0) + sum(_memory_gb(int(child)) for child in children)
