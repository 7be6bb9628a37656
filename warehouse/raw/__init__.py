"""The raw tables: one for each source and entity, with text columns and each row's origin; see :data:`SOURCES`."""

from typing import TYPE_CHECKING

from warehouse.raw.declaration import PROVENANCE_COLUMNS, Source, column_name, create_raw_table, is_name, raw_table
from warehouse.raw.lending_club import LENDING_CLUB
from warehouse.raw.simulated import SIMULATED
from warehouse.raw.uci_credit_card import UCI_CREDIT_CARD

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "PROVENANCE_COLUMNS",
    "SIMULATED",
    "SOURCES",
    "Source",
    "column_name",
    "create_missing_raw_tables",
    "create_raw_table",
    "is_name",
    "keys",
    "raw_columns",
    "raw_table",
]

#: The known sources, by name. Any other name is a lender of your own.
SOURCES: dict[str, Source] = {source.name: source for source in (SIMULATED, LENDING_CLUB, UCI_CREDIT_CARD)}


def raw_columns() -> dict[str, tuple[str, ...]]:
    """Known raw tables → their files' text columns, in table order; :data:`PROVENANCE_COLUMNS` follow them."""
    return {
        raw_table(source.name, entity): columns
        for source in SOURCES.values()
        for entity, columns in source.entities.items()
    }


def create_missing_raw_tables(con: "duckdb.DuckDBPyConnection", existing: set[str]) -> None:
    """Create the known sources' raw tables (``raw.<table>``) that are not in ``existing``, empty."""
    for table, columns in raw_columns().items():
        if table not in existing:
            create_raw_table(con, table, columns)
