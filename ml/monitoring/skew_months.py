"""The months of a version's online scores to measure for skew again, by what changed in the lake.

A month depends on its logged decisions and on the history known before them. It is due when a new decision of it
arrived, or when a core row known before its end changed: a row known at K is history only to decisions after K. That is
usually the running month and, with late rows, those back to theirs.

If the changes are unknown (snapshots expired, a table or the view of history was rebuilt), all months are due.
"""

from collections.abc import Sequence
from datetime import date

import duckdb

from ml.monitoring.samples import PREDICTIONS, SCORED_ONLINE, SHADOW_PREDICTIONS, MonitoredModel, decisions_of
from warehouse.lake.changes import changed_rows, changed_tables
from warehouse.lake.tables import is_table

HISTORY = "monitoring.decision_history"


def own_history(source: str) -> str:
    """The view of a lender's own history columns, beside that of the shared ones; it may not exist."""
    return f"{HISTORY}_{source}"


#: The tables of history, and when a row begins to count.
_KNOWN_FROM = {
    # an application's decision counts from the lender's time, if that is earlier than the log's
    "core.int_applications": "least(known_at, decided_at)",
    "core.int_application_versions": "known_at",
    "core.int_statements": "known_at",
    "core.int_outcome_versions": "known_at",
}
#: A lender's own history: the table of its statements' own columns, which may change alone.
_OWN_STATEMENTS = "core.int_statements_{source}"


def months_to_measure(
    con: duckdb.DuckDBPyConnection, model: MonitoredModel, *, since: int | None
) -> Sequence[date] | None:
    """First days of the months that may have changed since the lake's snapshot ``since``; None: all."""
    if since is None or not changed_tables(con, after=since).isdisjoint({HISTORY, own_history(model.source)}):
        return None
    logged = [changed_rows(con, table, after=since) for table in (PREDICTIONS, SHADOW_PREDICTIONS)]
    known_from = dict(_KNOWN_FROM)
    if is_table(con, own := _OWN_STATEMENTS.format(source=model.source)):
        known_from[own] = "known_at"
    known = {table: changed_rows(con, table, after=since) for table in known_from}
    changes = " union all ".join(
        f"select min({known_from[table]}) as known_from from {rows} where source = $1"
        for table, rows in known.items()
        if rows is not None
    )
    if None in logged or None in known.values():
        return None
    where, parameters = decisions_of(model, None)
    months = con.execute(
        f"""
        select date_trunc('month', decided_at)::date as month from (
            select * from {SCORED_ONLINE} where decided_at >= (
                select date_trunc('month', min(known_from)) from ({changes})
            )
            union all by name
            {" union all by name ".join(f"select * from {rows}" for rows in logged)}
        ) where {where} and route <> 'backfill' group by month order by month""",
        parameters,
    ).fetchall()
    return [month for (month,) in months]
