"""Which months of a version's online scores have to be measured for skew again, by what changed in the lake.

A month's figures depend on its decisions as they were logged, and on the history known before them. So a month is due
when a decision of it came in, or when a row of the core tables changed that was known before its end: a row known at K
can only be history to decisions after K. In use that is the month that runs, and with late rows those back to theirs.

If the changes are unknown (snapshots have expired, a table or the view of history was rebuilt), all months
are due.
"""

from collections.abc import Sequence
from datetime import date

import duckdb

from ml.monitoring.samples import PREDICTIONS, SCORED_ONLINE, SHADOW_PREDICTIONS, MonitoredModel, decisions_of
from warehouse.lake.changes import changed_rows, changed_tables

HISTORY = "monitoring.decision_history"
#: Tables that history is made of, and from when on a row of theirs can count.
_KNOWN_FROM = {
    # its application's decision counts from its own time, where the lender's files have an earlier one than the log
    "core.int_applications": "least(known_at, decided_at)",
    "core.int_statements": "known_at",
    "core.int_outcomes": "known_at",
}


def months_to_measure(
    con: duckdb.DuckDBPyConnection, model: MonitoredModel, *, since: int | None
) -> Sequence[date] | None:
    """First days of the months that may differ from what was measured at the lake's snapshot ``since``; None: all."""
    if since is None or HISTORY in changed_tables(con, after=since):
        return None
    logged = [changed_rows(con, table, after=since) for table in (PREDICTIONS, SHADOW_PREDICTIONS)]
    known = {table: changed_rows(con, table, after=since) for table in _KNOWN_FROM}
    changes = " union all ".join(
        f"select min({_KNOWN_FROM[table]}) as known_from from {rows} where source = $1"
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
