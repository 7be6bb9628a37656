"""What was estimated before: a version's rows in the lake, and how its predecessors' estimates were graded."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import date

import duckdb

from ml.estimates.grades import PerformanceEstimate
from ml.monitoring.samples import MonitoredModel, decisions_of

TABLE = "monitoring.performance_estimates"
#: Roles of decisions that callers got.
_ANSWERED = ("champion", "replaced")


def stored_estimates(con: duckdb.DuckDBPyConnection, model: MonitoredModel) -> dict[date, list[PerformanceEstimate]]:
    """The stored rows of a version, by month."""
    where, parameters = decisions_of(model, None)
    names = [field.name for field in fields(PerformanceEstimate)]
    stored: dict[date, list[PerformanceEstimate]] = {}
    for row in con.execute(f"select {', '.join(names)} from {TABLE} where {where}", parameters).fetchall():
        found = PerformanceEstimate(**dict(zip(names, row, strict=True)))
        stored.setdefault(found.month, []).append(found)
    return stored


def earlier_grades(
    con: duckdb.DuckDBPyConnection, model: MonitoredModel
) -> Mapping[tuple[str, str], Mapping[date, bool]]:
    """By metric and method: whether the interval of each month held what was true, for the lender's earlier champions.

    A month that several of them estimated counts once, for the newest of them.
    """
    grades: dict[tuple[str, str], dict[date, bool]] = {}
    rows = con.execute(
        f"select metric, method, month, arg_max(is_covered, model_version) from {TABLE} "
        "where source = $1 and model_name = $2 and model_version < $3 and is_covered is not null "
        f"and role in {_ANSWERED} group by metric, method, month",
        [model.source, model.name, model.version],
    ).fetchall()
    for metric, method, month, is_covered in rows:
        grades.setdefault((metric, method), {})[month] = is_covered
    return grades
