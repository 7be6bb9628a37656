"""Find the newest figures in the lake, and put them into the home's file for the API.

The API repeats what the file says, names and texts included, and never opens the lake for it.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from warehouse.errors import MonitoringError
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings
from warehouse.team import push

if TYPE_CHECKING:
    import duckdb

    from warehouse.figures.queries import FigureQuery


_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*$")]


class Series(NamedTuple):
    """A value, and the values of the figure's labels in their order."""

    labels: tuple[str, ...]
    value: float


class Figure(msgspec.Struct, frozen=True):
    """A gauge of ``/metrics`` with its series; none where nothing is known yet."""

    name: Annotated[str, msgspec.Meta(pattern=r"^loan_[a-z0-9_]+$")]
    text: str
    labels: tuple[_Name, ...]
    series: tuple[Series, ...]

    def __post_init__(self) -> None:
        if wrong := [each.labels for each in self.series if len(each.labels) != len(self.labels)]:
            raise ValueError(f"{self.name} needs a value for each of {self.labels}: found {wrong[0]}")


class Figures(msgspec.Struct, frozen=True):
    """All figures of the home's lenders as of ``made_at``, UTC.

    ``not_built``: tables that the lake does not have yet.
    """

    made_at: datetime
    figures: tuple[Figure, ...]
    not_built: tuple[str, ...] = ()


def publish_figures(settings: Settings) -> Figures:
    """Read every figure from the lake, and replace the home's file, and that of the alerts for the API's pages."""
    from warehouse.alerts.prepared import prepare_alerts
    from warehouse.alerts.rules import alert_rules
    from warehouse.figures.queries import QUERIES
    from warehouse.lake.connection import connect

    with connect(settings) as con:
        found = find_figures(con, QUERIES, kinds=alert_rules())
        prepare_alerts(settings, con)
    replace_file(settings.figures, msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    push(settings, settings.figures, settings.prepared_alerts)
    return found


def read_figures(settings: Settings) -> Figures | None:
    """The figures published last; None before the first. Raises MonitoringError for an invalid file."""
    path = settings.figures
    try:
        return msgspec.json.decode(path.read_bytes(), type=Figures)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise MonitoringError(
            f"{path} must hold the newest figures of models, data and portfolio: {error}; materialise "
            "monitoring/published_figures again"
        ) from error


def find_figures(
    con: "duckdb.DuckDBPyConnection", queries: "Iterable[FigureQuery]", *, kinds: Iterable[str]
) -> Figures:
    """The figures of these queries; ``kinds``: of alerts."""
    from warehouse.lake.tables import tables_and_views

    built = tables_and_views(con)
    figures: list[Figure] = []
    not_built: set[str] = set()
    for query in queries:
        missing = [table for table in query.reads if table not in built]
        not_built.update(missing)
        parameters: Mapping[str, Any] = {"kinds": list(kinds)} if "$kinds" in query.sql else {}
        rows = [] if missing else con.execute(query.sql, parameters).fetchall()
        n_labels = len(query.labels)
        for place, (name, text) in enumerate(query.metrics.items(), n_labels):
            series = sorted(
                Series(tuple(str(label) for label in row[:n_labels]), float(row[place]))
                for row in rows
                if row[place] is not None and math.isfinite(row[place])
            )
            figures.append(Figure(name, text, query.labels, tuple(series)))
    return Figures(datetime.now(UTC), tuple(figures), tuple(sorted(not_built)))
