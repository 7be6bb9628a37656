"""Send what is due by Apprise, and record each attempt: first the message, then its row.

A process that dies between the two sends the message again, which is better than losing it.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import duckdb

from warehouse.alerts.alert import Alert
from warehouse.alerts.notifications import Attempt, dead_letters, due, messages, read_attempts
from warehouse.alerts.routes import AlertOptions, Route, read_routes
from warehouse.alerts.rules import alert_rules
from warehouse.alerts.states import read_alerts
from warehouse.alerts.texts import details, summary
from warehouse.errors import LakeError, NotFoundError, SettingError
from warehouse.lake.connection import connect, writer
from warehouse.lake.lease import senders_turn
from warehouse.settings import Settings

_MASK = "***"
#: urllib3 logs the path of a request, where webhooks have their token, at the level DEBUG.
_THAT_LOG_ADDRESSES = ("apprise", "urllib3")
_LONGEST_PROBLEM = 300
_WORDS = {"opened": "new", "worsened": "more severe", "resolved": "resolved"}


@dataclass(frozen=True)
class Sent:
    """One message to one route. ``problem``: why it was not delivered, else empty; ``is_dead``: not tried again."""

    route: str
    source: str | None
    title: str
    n_alerts: int
    problem: str = ""
    is_dead: bool = False


@dataclass(frozen=True)
class Outlook:
    """What a sending would do: ``due`` attempts, and ``dead`` ones that only a person repeats.

    ``problems``: of routes without a known address. What they miss is due when the address is known.
    """

    due: Sequence[Attempt]
    dead: Sequence[Attempt]
    n_routes: int
    alerts: Sequence[Alert]
    problems: Sequence[str] = ()


def outlook(settings: Settings, *, now: datetime | None = None, with_dead: bool = False) -> Outlook:
    """What is to be sent; reads the lake only. Raises SettingError for an invalid file of routes."""
    routes = read_routes(settings, AlertOptions.from_environment())
    problems = [each.problem for each in routes if each.problem]
    with connect(settings) as con:
        try:
            alerts, attempts = read_alerts(con, with_resolved=True), read_attempts(con)
        except duckdb.CatalogException:
            return Outlook((), (), len(routes), (), problems)  # nothing was measured yet
    reachable = [each for each in routes if not each.problem]
    found = due(alerts, attempts, reachable, now=now or _now(), with_dead=with_dead)
    dead = dead_letters(attempts, {alert.alert_id: alert for alert in alerts}, routes)
    return Outlook(found, dead, len(routes), alerts, problems)


def send_due(
    settings: Settings, *, now: datetime | None = None, without_rest: bool = False, with_dead: bool = False
) -> list[Sent]:
    """Send every message that is due, one for each route and lender. A failure is recorded, never raised.

    ``without_rest``: also what failed, before its rest is over. ``with_dead``: also what was given up before. Waits for
    another process that sends, on any machine of the lake: a message is due until it is recorded, so that two at a time
    would send it twice.
    """
    with senders_turn(settings):
        return _send(settings, now, without_rest=without_rest, with_dead=with_dead)


def _send(settings: Settings, now: datetime | None, *, without_rest: bool, with_dead: bool) -> list[Sent]:
    options = AlertOptions.from_environment()
    routes = {route.name: route for route in read_routes(settings, options)}
    if not routes:
        return []  # the alerts, a second of processor time to read, have no one to go to
    found = outlook(settings, now=datetime.max if without_rest else now, with_dead=with_dead)
    alerts = {alert.alert_id: alert for alert in found.alerts}
    sent = []
    for name, source, attempts in messages(found.due):
        title, body = message_text(source, attempts, alerts)
        problem = deliver(routes[name], title, body, is_severe=any(each.severity == "high" for each in attempts))
        is_dead = bool(problem) and all(each.attempt >= options.alert_attempts for each in attempts)
        _record(settings, attempts, problem, now or _now(), options.alert_attempts)
        sent.append(Sent(name, source, title, len(attempts), problem, is_dead))
    return sent


def unsent_lines(settings: Settings) -> list[str]:
    """What was not delivered, for `loanlake status`: failed messages, those given up, an invalid file of routes."""
    try:
        found = outlook(settings, now=datetime.max)
    except LakeError:
        return []  # whoever shows the alerts says so
    except SettingError as error:
        return [f"no alert is sent: {error}"]
    lines = [f"a route gets no alert: {problem}" for problem in found.problems]
    if found.due:
        repeated = sum(each.attempt > 1 for each in found.due)
        failed = f", {repeated:,} of them after a failure" if repeated else ""
        lines.append(f"{len(found.due):,} notifications wait{failed}: `loanlake alerts send` sends them now")
    if found.dead:
        lines.append(f"{len(found.dead):,} notifications were given up: `loanlake alerts send --dead` repeats them")
    return lines


def send_test(settings: Settings, name: str) -> str:
    """Send a message to one route that says it is a test; returns why it was not delivered, empty if it was.

    Raises NotFoundError for an unknown route.
    """
    routes = {route.name: route for route in read_routes(settings, AlertOptions.from_environment())}
    if name not in routes:
        known = ", ".join(routes) or "none"
        raise NotFoundError(f"no route of alerts has the name {name!r}: declared are {known} (docs/alerts.md)")
    if routes[name].problem:
        return routes[name].problem
    return deliver(routes[name], "Loanlake: a test", "This route works. No alert is meant.", is_severe=False)


def message_text(source: str | None, attempts: Sequence[Attempt], alerts: Mapping[str, Alert]) -> tuple[str, str]:
    """Title and body of a message, in plain text."""
    counts = [f"{n} {word}" for event, word in _WORDS.items() if (n := sum(each.event == event for each in attempts))]
    n_severe = sum(each.severity == "high" and each.event != "resolved" for each in attempts)
    severe = f", {n_severe} with high severity" if n_severe else ""
    title = (
        f"Loanlake: {', '.join(counts)} alert{'s' if len(attempts) > 1 else ''} of {source or 'all lenders'}{severe}"
    )
    parts = []
    for each in attempts:
        alert = alerts.get(each.alert_id)
        if alert is None:
            rule = alert_rules().get(each.kind)
            what = rule.title_of(each.cause) if rule is not None else each.kind
            parts.append(f"[resolved] {each.alert_id}  {source or 'all lenders'}: {what}")
        elif each.event == "resolved":
            parts.append(f"[resolved] {summary(alert)}")
        else:
            parts.append("\n".join([f"[{_WORDS[each.event]}] {summary(alert)}", *details(alert)]))
    return title, "\n\n".join(parts) + "\n\nloanlake alerts ack ID --reason … acknowledges an alert."


def deliver(route: Route, title: str, body: str, *, is_severe: bool) -> str:
    """Send a message to a route; returns why it was not delivered, without any part of the address; empty if it was."""
    apprise = _apprise()
    with _log_of_apprise() as lines:
        service = apprise.Apprise()
        if not service.add(route.url):
            return "its address is not one that Apprise knows (https://github.com/caronc/apprise/wiki)"
        kind = apprise.NotifyType.FAILURE if is_severe else apprise.NotifyType.WARNING
        try:
            if service.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT):
                return ""
        except Exception as error:
            lines.append(f"{type(error).__name__}: {error}")
    said = "; ".join(dict.fromkeys(lines)) or "the service did not accept the message"
    return without_address(said, route.url)[:_LONGEST_PROBLEM]


def without_address(text: str, url: str) -> str:
    """The text without the URL or any part of it, plain or percent-decoded: tokens can stand anywhere in a URL.

    >>> without_address("401 of hooks.example for s3cret!", "json://user:s3cret%21@hooks.example/x")
    '401 of *** for ***'
    """
    _, _, rest = url.partition("://")
    parts = {part for part in re.split(r"[/:@?&=,\s]+", rest) if len(part) >= 3}
    for part in sorted({url, rest, *parts, *map(unquote, parts)}, key=len, reverse=True):
        text = text.replace(part, _MASK)
    return text


def _record(settings: Settings, attempts: Sequence[Attempt], problem: str, now: datetime, most: int) -> None:
    rows = [
        replace(
            each,
            attempted_at=now,
            outcome="delivered" if not problem else "dead" if each.attempt >= most else "failed",
        )
        for each in attempts
    ]
    message = str(uuid4())
    columns = (*(name for name in Attempt.__dataclass_fields__), "attempt_id", "problem")
    places = ", ".join("?" for _ in columns)
    with writer("record sent alerts", settings) as con:
        # one statement: the lake writes a file for each insert
        con.execute(
            f"insert into monitoring.alert_notifications ({', '.join(columns)}) "
            f"values {', '.join(f'({places})' for _ in rows)}",
            [
                value
                for row in rows
                for value in (*(getattr(row, name) for name in columns[:-2]), message, problem or None)
            ],
        )


def _apprise() -> Any:
    try:
        import apprise
    except ModuleNotFoundError:
        raise SettingError(
            "alerts are sent by Apprise, which is not installed: install loanlake[notify], or `pip install apprise`"
        ) from None
    return apprise


@contextmanager
def _log_of_apprise() -> Iterator[list[str]]:
    """What Apprise and its HTTP client log meanwhile, kept from every other log: both may name parts of an address."""
    lines: list[str] = []

    class _Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = _Kept(logging.WARNING)
    before = {logger: logger.propagate for logger in map(logging.getLogger, _THAT_LOG_ADDRESSES)}
    for logger in before:
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield lines
    finally:
        for logger, propagate in before.items():
            logger.removeHandler(handler)
            logger.propagate = propagate


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
