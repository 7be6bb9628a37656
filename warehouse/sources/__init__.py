"""Where a lender's files become raw tables.

A source is declared by one module each (:data:`SOURCES`); :func:`ingest_files` loads files of any of them, or of a
lender of your own, and :func:`ingest_simulated` writes and loads the simulated lender. Importing this package costs
milliseconds: DuckDB and NumPy are imported when something is loaded.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.settings import Settings
from warehouse.sources.declaration import PROVENANCE_COLUMNS, Source, column_name, create_raw_table, raw_table
from warehouse.sources.lending_club import LENDING_CLUB
from warehouse.sources.simulated import SIMULATED
from warehouse.sources.simulated.simulation import Simulation
from warehouse.sources.uci_credit_card import UCI_CREDIT_CARD

if TYPE_CHECKING:
    import duckdb

    from warehouse.sources.ingest import IngestResult

__all__ = [
    "PROVENANCE_COLUMNS",
    "SOURCES",
    "Source",
    "column_name",
    "create_missing_raw_tables",
    "ingest_files",
    "ingest_simulated",
    "raw_columns",
    "raw_table",
]

#: The sources that Loanlake knows, by name. Any other name is a lender of your own.
SOURCES: dict[str, Source] = {source.name: source for source in (SIMULATED, LENDING_CLUB, UCI_CREDIT_CARD)}


def raw_columns() -> dict[str, tuple[str, ...]]:
    """The raw tables of the known sources and their files' columns, all text, in table order.

    Each table has :data:`PROVENANCE_COLUMNS` after them.
    """
    return {
        raw_table(source.name, entity): columns
        for source in SOURCES.values()
        for entity, columns in source.entities.items()
    }


def create_missing_raw_tables(con: "duckdb.DuckDBPyConnection", existing: set[str]) -> None:
    """Create, empty, the known sources' raw tables that are not in ``existing`` (``raw.<table>``)."""
    for table, columns in raw_columns().items():
        if table not in existing:
            create_raw_table(con, table, columns)


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
    """Write a simulated lender's files and load them; see :class:`warehouse.sources.simulated.simulation.Simulation`.

    The same parameters again change nothing.
    """
    from warehouse.sources import ingest

    simulation = Simulation(applications=applications, months=months, seed=seed, shock_ago=shock_ago)
    return ingest.ingest_simulated(settings, simulation, report)
