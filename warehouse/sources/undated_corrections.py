"""Corrections that gave no time of their own: they count from their load, and no decision made before sees them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_VERSIONS = {
    "applications": "core.int_application_versions",
    "statements": "core.int_statements",
    "outcomes": "core.int_outcome_versions",
}


def undated_corrections(con: "duckdb.DuckDBPyConnection", source: str | None = None) -> list[str]:
    """In words, for each lender and kind of row that has any, of one lender or all; empty before the first build."""
    import duckdb

    counts = " union all ".join(
        f"select source, '{rows}' as rows, count(*) as n, max(loaded_at) as newest from {table} "
        "where is_known_by_load and ($1 is null or source = $1) group by source"
        for rows, table in _VERSIONS.items()
    )
    try:
        found = con.execute(f"from ({counts}) order by source, rows", [source]).fetchall()
    except duckdb.CatalogException:
        return []
    return [
        f"{lender}: {n:,} corrections of {rows} have no known_at of their own and count from their load, the newest "
        f"from {newest:%Y-%m-%d %H:%M} UTC: decisions made before keep the earlier values. If the files were wrong, "
        "load the rows with the known_at from which the right values were known"
        for lender, rows, n, newest in found
    ]
