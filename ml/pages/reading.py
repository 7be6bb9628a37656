"""Prepared tables of one lender, up to a month, read over one connection."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ml.figures.shapes import Values
from warehouse.errors import MonitoringError
from warehouse.sql.quoting import literal

if TYPE_CHECKING:
    import duckdb

Row = Mapping[str, Any]
_NAME = re.compile(r"\$([a-z_]+)")
#: After every month.
ALWAYS = date(9999, 12, 1)


@dataclass(frozen=True)
class Tables:
    """``until``: the last month to read."""

    con: "duckdb.DuckDBPyConnection"
    source: str
    until: date = ALWAYS

    def rows(self, query: str, **named: object) -> list[Row]:
        """The rows of a query with ``$source`` and ``$until``; none if a table was not built yet.

        Raises MonitoringError if a table lacks a column, as one that another version of Loanlake wrote.
        """
        import duckdb

        given = {"source": self.source, "until": f"{self.until}", **named}
        # DuckDB imports pandas for the first bound parameter, a second in a command
        text = _NAME.sub(lambda name: literal(str(given[name[1]])), query)
        try:
            found = self.con.execute(text)
        except duckdb.CatalogException:
            return []
        except duckdb.BinderException as error:
            reason = str(error).splitlines()[0]
            raise MonitoringError(
                f"a table does not have the columns that the pages read ({reason}): another version of Loanlake wrote "
                "it, and tables are not converted; load the files into a new home"
            ) from error
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def months_between(first: date, last: date) -> list[date]:
    """Every month from the first to the last, those without data included.

    >>> [f"{month:%Y-%m}" for month in months_between(date(2024, 12, 1), date(2025, 2, 1))]
    ['2024-12', '2025-01', '2025-02']
    """
    n_months = (last.year - first.year) * 12 + last.month - first.month
    return [
        date(first.year + (first.month - 1 + n) // 12, (first.month - 1 + n) % 12 + 1, 1) for n in range(n_months + 1)
    ]


def months_of(rows: Iterable[Row], column: str = "month") -> list[date]:
    """Every month between the first and the last of the rows; none without rows."""
    found = {row[column] for row in rows}
    return months_between(min(found), max(found)) if found else []


def names_of(months: Iterable[date]) -> list[str]:
    """The months as YYYY-MM."""
    return [f"{month:%Y-%m}" for month in months]


def by_month(rows: Iterable[Row], months: Sequence[date], column: str) -> Values:
    """The column of each month; None where there is no row."""
    found = {row["month"]: row[column] for row in rows}
    return [found.get(month) for month in months]
