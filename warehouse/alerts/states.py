"""Read the states of alerts from the lake, and acknowledge one."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import UTC, datetime

import duckdb

from warehouse.alerts.alert import Alert
from warehouse.errors import NotFoundError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

_TABLE = "monitoring.alert_states"


def read_alerts(
    con: duckdb.DuckDBPyConnection, lenders: Collection[str] | None = None, *, with_resolved: bool = False
) -> Sequence[Alert]:
    """Open alerts first, then acknowledged and resolved ones; of these severe and then new ones first.

    ``lenders``: their alerts and those of all lenders; None for every alert. Raises duckdb.CatalogException if the
    view was not built yet.
    """
    columns = ", ".join(column.name for column in fields(Alert))
    rows = con.execute(
        f"select {columns} from {_TABLE} "
        "where ($1 is null or source is null or list_contains($1::varchar[], source)) "
        "and ($2 or state <> 'resolved') "
        "order by list_position(['open', 'acknowledged', 'resolved'], state), severity = 'low', last_month desc, "
        "first_month desc, source, kind, cause",
        [None if lenders is None else sorted(lenders), with_resolved],
    ).fetchall()
    return tuple(Alert(*row) for row in rows)


def acknowledge(settings: Settings, alert_id: str, *, by: str, reason: str) -> Alert:
    """Record that a person knows about an alert; returns it as it is then.

    Raises NotFoundError for an unknown or resolved alert, and NoLakeError in a home without a lake.
    """
    connect(settings).close()  # a writer would create the lake
    with writer(f"acknowledge alert {alert_id}", settings) as con:
        try:
            known = read_alerts(con, with_resolved=True)
        except duckdb.CatalogException:
            known = ()  # nothing was measured yet
        found = _named(known, alert_id)
        now = datetime.now(UTC).replace(tzinfo=None)
        con.execute(
            "insert into monitoring.alert_acknowledgements "
            "(alert_id, acknowledged_at, acknowledged_by, reason, severity, last_month) "
            "values ($1, $2, $3, $4, $5, $6)",
            [found.alert_id, now, by, reason, found.severity, found.last_month],
        )
    with connect(settings) as con:
        return _named(read_alerts(con), found.alert_id)


def end_acknowledgements(settings: Settings) -> int:
    """End the acknowledgements of alerts that have ended, so that one that returns is open; returns how many.

    Months cannot say it where a fault is mended and returns within one.
    """
    acknowledged = "monitoring.alert_acknowledgements"
    ended = (
        "ended_at is null and alert_id not in (select alert_id from monitoring.alert_states where state <> 'resolved')"
    )
    with connect(settings) as con:
        # the states are half a second's work; mostly nobody has acknowledged anything
        if not con.execute(f"select 1 from {acknowledged} where ended_at is null limit 1").fetchall():
            return 0
        try:
            [[n_ended]] = con.execute(f"select count(*) from {acknowledged} where {ended}").fetchall()
        except duckdb.CatalogException:
            return 0  # nothing was measured yet
    if n_ended:
        now = datetime.now(UTC).replace(tzinfo=None)
        with writer("end acknowledgements of alerts", settings) as con:
            con.execute(f"update {acknowledged} set ended_at = $1 where {ended}", [now])
    return int(n_ended)


def _named(alerts: Sequence[Alert], alert_id: str) -> Alert:
    found = next((alert for alert in alerts if alert.alert_id == alert_id), None)
    if found is None:
        raise NotFoundError(f"no alert has the id {alert_id!r}: `loanlake alerts` lists the ids")
    if found.state == "resolved":
        raise NotFoundError(
            f"alert {alert_id} is resolved since {found.last_month:%Y-%m}: there is nothing to acknowledge"
        )
    return found
