"""Load files or the simulated lender into the raw tables; DuckDB and NumPy are imported only when needed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.settings import Settings
from warehouse.sources.simulated.simulation import Simulation

if TYPE_CHECKING:
    from warehouse.sources.ingest import IngestResult

__all__ = [
    "erasing",
    "ingest",
    "ingest_files",
    "ingest_simulated",
    "landing",
    "late_sources",
    "pulling",
    "recorded",
    "reloading",
    "rows_set_aside",
    "simulated",
    "streaming",
    "target",
    "undated_corrections",
]


def ingest_files(
    source: str,
    paths: Sequence[str | Path],
    settings: Settings,
    entity: str | None = None,
    report: "Callable[[IngestResult], None] | None" = None,
) -> "list[IngestResult]":
    """Land and load files, one transaction a file; see :func:`warehouse.sources.ingest.ingest_files`."""
    from warehouse.sources import ingest

    return ingest.ingest_files(source, paths, settings, entity, report)


def ingest_simulated(
    settings: Settings,
    *,
    applications: int = Simulation.applications,
    months: int = Simulation.months,
    seed: int = Simulation.seed,
    shock_ago: int = Simulation.shock_ago,
    report: "Callable[[IngestResult], None] | None" = None,
) -> "list[IngestResult]":
    """Write and load the files of a ``Simulation``; repeating the same parameters changes nothing."""
    from warehouse.sources import ingest

    simulation = Simulation(applications=applications, months=months, seed=seed, shock_ago=shock_ago)
    return ingest.ingest_simulated(settings, simulation, report)
