"""Lenders whose next file should have arrived by their own rhythm (``monitoring.source_arrivals``)."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class LateSource:
    """A kind of file that is late; ``allowed_days``: the most that may pass after an arrival until the next."""

    source: str
    entity: str
    newest_arrival_on: date
    days_since_arrival: int
    allowed_days: int

    def __str__(self) -> str:
        return (
            f"{self.source}: files of {self.entity} are late: the newest arrived on {self.newest_arrival_on:%Y-%m-%d}, "
            f"{self.days_since_arrival:,} days ago; by their own rhythm at most {self.allowed_days:,} days pass"
        )


def late_sources(con: "duckdb.DuckDBPyConnection", source: str | None = None) -> list[LateSource]:
    """What is late now, of one lender or all; empty before the first build, when no source has a rhythm either."""
    import duckdb

    try:
        rows = con.execute(
            "select source, entity, newest_arrival_on, days_since_arrival, allowed_days "
            "from monitoring.source_arrivals where is_late and ($1 is null or source = $1) order by source, entity",
            [source],
        ).fetchall()
    except duckdb.CatalogException:
        return []
    return [LateSource(*row) for row in rows]
