"""Which route must be notified of what, from the states of alerts and from what was delivered before.

Events follow from states, not from changes that someone must catch: a message that was lost, or sent and not recorded,
is due again. Each message is therefore delivered at least once, and rarely twice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from typing import Literal

import duckdb

from warehouse.alerts.alert import Alert
from warehouse.alerts.routes import Route

Event = Literal["opened", "worsened", "resolved"]
Outcome = Literal["delivered", "failed", "dead"]
_LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True)
class Attempt:
    """A row of ``monitoring.alert_notifications``: one route, one event of one alert."""

    route: str
    alert_id: str
    source: str | None
    kind: str
    cause: str
    event: Event
    severity: str
    last_month: date
    attempt: int = 1
    attempted_at: datetime | None = None
    outcome: Outcome | None = None

    @property
    def next_at(self) -> datetime:
        """When a failed attempt is repeated: after 1, 2, 4 … minutes, at most an hour."""
        wait = min(timedelta(minutes=1) * 2.0 ** min(self.attempt - 1, 30), _LONGEST_WAIT)
        return (self.attempted_at or datetime.min) + wait


def read_attempts(con: duckdb.DuckDBPyConnection) -> Sequence[Attempt]:
    """The newest attempt of each route, alert and outcome, oldest first."""
    rows = con.execute(
        f"select {', '.join(column.name for column in fields(Attempt))} from monitoring.alert_notifications "
        "qualify row_number() over (partition by route, alert_id, outcome order by attempted_at desc) = 1 "
        "order by attempted_at"
    ).fetchall()
    return tuple(Attempt(*row) for row in rows)


def due(
    alerts: Iterable[Alert],
    attempts: Sequence[Attempt],
    routes: Sequence[Route],
    *,
    now: datetime,
    with_dead: bool = False,
) -> list[Attempt]:
    """The attempts to make now. ``alerts``: all, also resolved ones. ``with_dead``: also those that were given up."""
    by_id = {alert.alert_id: alert for alert in alerts}
    delivered = {(each.route, each.alert_id): each for each in attempts if each.outcome == "delivered"}
    unsent = {(each.route, each.alert_id): each for each in attempts if each.outcome != "delivered"}
    found = []
    for route in routes:
        known = [each.alert_id for (name, _), each in delivered.items() if name == route.name]
        for alert_id in dict.fromkeys([*by_id, *known]):
            key = (route.name, alert_id)
            wanted = _event(route, by_id.get(alert_id), delivered.get(key))
            if wanted is None:
                continue
            before = unsent.get(key)
            if before is not None and _is_repeated(before, wanted, delivered.get(key)):
                if before.outcome == "dead" and not with_dead:
                    continue
                if before.outcome == "failed" and now < before.next_at:
                    continue
                wanted = replace(wanted, attempt=before.attempt + 1)
            found.append(wanted)
    return found


def messages(attempts: Iterable[Attempt]) -> Iterator[tuple[str, str | None, Sequence[Attempt]]]:
    """What is sent together: route, lender and their attempts."""
    together: dict[tuple[str, str | None], list[Attempt]] = {}
    for each in attempts:
        together.setdefault((each.route, each.source), []).append(each)
    for (route, source), of_message in together.items():
        yield route, source, of_message


def dead_letters(attempts: Sequence[Attempt], alerts: Mapping[str, Alert], routes: Sequence[Route]) -> list[Attempt]:
    """Events that were given up and that nobody has been notified of since."""
    everything = due(alerts.values(), attempts, routes, now=datetime.max, with_dead=True)
    without = {(each.route, each.alert_id) for each in due(alerts.values(), attempts, routes, now=datetime.max)}
    return [each for each in everything if (each.route, each.alert_id) not in without]


def _event(route: Route, alert: Alert | None, before: Attempt | None) -> Attempt | None:
    """What the route does not know yet; ``before``: what was delivered last."""
    is_known = before is not None and before.event != "resolved"
    if alert is None or alert.state == "resolved":
        # a view has no row of an alert whose rows are gone: the last message says what it was about
        if before is None or not is_known:
            return None
        last_month = before.last_month if alert is None else max(alert.last_month, before.last_month)
        return replace(before, event="resolved", attempt=1, last_month=last_month)
    if not route.takes(alert.source, alert.severity):
        return None
    is_another = before is not None and alert.first_month > before.last_month
    if not is_known or is_another:
        return _attempt(route, alert, "opened") if alert.state == "open" else None
    if before is not None and alert.severity == "high" and before.severity == "low":
        return _attempt(route, alert, "worsened") if alert.state == "open" else None
    return None


def _attempt(route: Route, alert: Alert, event: Event) -> Attempt:
    return Attempt(
        route=route.name,
        alert_id=alert.alert_id,
        source=alert.source,
        kind=alert.kind,
        cause=alert.cause,
        event=event,
        severity=alert.severity,
        last_month=alert.last_month,
    )


def _is_repeated(before: Attempt, wanted: Attempt, delivered: Attempt | None) -> bool:
    """Whether an attempt that was not delivered was about the same event."""
    is_later = delivered is None or (before.attempted_at or datetime.min) > (delivered.attempted_at or datetime.min)
    return is_later and before.event == wanted.event
