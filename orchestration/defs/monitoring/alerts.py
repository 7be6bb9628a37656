"""Alerts as a step: their states as a table, and the messages that are due."""

from collections.abc import Sequence

import dagster as dg
import duckdb

from orchestration.lib import layers, pages
from orchestration.lib.retries import lake_awaited
from warehouse.alerts.alert import Alert
from warehouse.alerts.routes import AlertOptions, Route, read_routes
from warehouse.alerts.sending import Sent, send_due
from warehouse.alerts.states import end_acknowledgements, read_alerts
from warehouse.alerts.texts import counts_line, headline
from warehouse.errors import SettingError
from warehouse.lake.connection import connect
from warehouse.settings import Settings


@dg.asset(
    key=layers.ALERT_NOTIFICATIONS,
    deps=[layers.ALERT_STATES],
    group_name="monitoring",
    kinds={"apprise"},
    pool=layers.LAKE_WRITER,
)
def alert_notifications(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """One row per attempt to notify a route of an alert: new ones, more severe ones, resolved ones.

    Routes that cannot be read, or a missing Apprise, are reported and stop nothing: no message undoes what the run did.
    """
    settings = Settings.from_environment()
    sent: list[Sent] = []
    routes: tuple[Route, ...] = ()
    unsent = ""
    unknown: list[Route] = []
    with lake_awaited(context):
        end_acknowledgements(settings)
        try:
            routes = read_routes(settings, AlertOptions.from_environment())
            sent = send_due(settings)
            unknown = [each for each in routes if each.problem]
            for route in unknown:
                context.log.error(f"a route gets no alert: {route.problem}")
        except SettingError as error:
            unsent = str(error)
            context.log.error(f"no alert is sent: {error}")
    with connect(settings) as con:
        try:
            alerts = read_alerts(con)
        except duckdb.CatalogException:
            alerts = ()  # the view is built with the first run that measures
    for each in sent:
        if each.problem:
            context.log.error(f"route {each.route}: {each.title}: not delivered: {each.problem}")
    n_delivered = sum(not each.problem for each in sent)
    return dg.MaterializeResult(
        metadata={
            "summary": f"alerts: {counts_line(alerts)}; "
            + (
                f"NO ALERT IS SENT: {unsent}"
                if unsent
                else f"messages: {n_delivered} delivered, {len(sent) - n_delivered} not delivered"
                + ("" if routes else "; no route is declared (docs/alerts.md)")
                + (f"; NO ALERT IS SENT TO {', '.join(each.name for each in unknown)}" if unknown else "")
            ),
            "alerts": _table(alerts),
            "messages": pages.records(
                sent,
                {
                    "route": lambda row: row.route,
                    "message": lambda row: row.title,
                    "outcome": _outcome,
                },
            ),
        }
    )


def _table(alerts: Sequence[Alert]) -> dg.MarkdownMetadataValue:
    return pages.records(
        alerts,
        {
            "alert": lambda row: row.alert_id,
            "state": lambda row: row.state,
            "severity": lambda row: row.severity,
            "lender": lambda row: row.source or "all",
            "what": lambda row: headline(row).replace("|", "\\|"),
            "since": lambda row: f"{row.first_month:%Y-%m}",
            "last found": lambda row: f"{row.last_month:%Y-%m}",
        },
    )


def _outcome(sent: Sent) -> str:
    if not sent.problem:
        return "delivered"
    return f"{'given up' if sent.is_dead else 'is tried again'}: {sent.problem}".replace("|", "\\|")
