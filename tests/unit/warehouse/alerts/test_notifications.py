"""What a route must be notified of follows from the alerts' states and what was delivered."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.unit.warehouse.alerts.shown_alerts import alert
from warehouse.alerts.alert import Alert
from warehouse.alerts.notifications import Attempt, dead_letters, due, messages
from warehouse.alerts.routes import Route

NOW = datetime(2026, 1, 5, 12)
ROUTE = Route("team", "json://x")


def done(event: Any = "opened", outcome: Any = "delivered", **changed: Any) -> Attempt:
    attempt = Attempt(
        "team", "0123456789", "bank", "feature_drift", "features", event, "low", date(2025, 12, 1), 1, NOW, outcome
    )
    return replace(attempt, **changed)


@pytest.mark.parametrize(
    ("now", "before", "event"),
    [
        (alert(), [], "opened"),
        (alert(), [done()], None),
        (alert(state="acknowledged"), [], None),
        (alert(severity="high"), [done()], "worsened"),
        (alert(severity="high"), [done(severity="high")], None),
        (alert(state="resolved"), [done()], "resolved"),
        (alert(state="resolved"), [], None),
        (alert(state="resolved"), [done(), done("resolved", attempted_at=NOW + timedelta(1))], None),
        (alert(), [done("resolved")], "opened"),
        # it was resolved and came back between two looks
        (alert(first_month=date(2026, 2, 1), last_month=date(2026, 2, 1)), [done()], "opened"),
        # a later version also shows earlier months of the same occurrence
        (alert(first_month=date(2025, 1, 1)), [done()], None),
        # the rows that it was made of are gone
        (None, [done()], "resolved"),
        (None, [done("resolved")], None),
    ],
)
def test_an_event_is_what_the_route_does_not_know(now: Alert | None, before: list[Attempt], event: str | None) -> None:
    latest = before[-1:]  # of each outcome, the newest row is read

    found = due([now] if now else [], latest, [ROUTE], now=NOW)

    assert [each.event for each in found] == ([event] if event else [])


def test_a_route_is_notified_of_what_it_takes() -> None:
    severe = Route("severe", "json://x", "high")

    found = due([alert(), alert("b", severity="high")], [], [ROUTE, severe], now=NOW)

    assert [(each.route, each.alert_id) for each in found] == [
        ("team", "0123456789"), ("team", "b"), ("severe", "b"),
    ]  # fmt: skip
    assert len(list(messages(found))) == 2


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 1), (2, 2), (5, 16), (7, 60), (99, 60)])
def test_a_failed_message_waits_twice_as_long_each_time(attempt: int, minutes: int) -> None:
    failed = [done(outcome="failed", attempt=attempt)]

    assert due([alert()], failed, [ROUTE], now=NOW + timedelta(minutes=minutes, seconds=-1)) == []
    [again] = due([alert()], failed, [ROUTE], now=NOW + timedelta(minutes=minutes))
    assert (again.event, again.attempt) == ("opened", attempt + 1)


def test_a_dead_letter_is_kept_until_a_person_repeats_it_or_the_alert_ends() -> None:
    dead, later = [done(outcome="dead", attempt=10)], NOW + timedelta(days=9)

    assert due([alert()], dead, [ROUTE], now=later) == []
    assert [each.attempt for each in due([alert()], dead, [ROUTE], now=later, with_dead=True)] == [11]
    assert len(dead_letters(dead, {"0123456789": alert()}, [ROUTE])) == 1
    assert dead_letters(dead, {"0123456789": alert(state="resolved")}, [ROUTE]) == []


def test_another_event_is_not_kept_back_by_a_dead_letter() -> None:
    known = [done(), done("worsened", outcome="dead", attempted_at=NOW + timedelta(1))]

    [found] = due([alert(state="resolved")], known, [ROUTE], now=NOW)

    assert (found.event, found.attempt) == ("resolved", 1)
