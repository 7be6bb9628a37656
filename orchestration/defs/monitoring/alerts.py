"""Alerts for people: new, continuing and ended (``monitoring.alert_episodes``)."""

from datetime import date
from typing import NamedTuple

import duckdb

_MOST_NEW = 10
_MOST_SUBJECTS = 8


class _Episode(NamedTuple):
    state: str
    source: str
    kind: str
    subject: str
    first_month: date
    n_months: int
    value: float | None
    threshold: float | None
    severity: str


def alert_lines(con: duckdb.DuckDBPyConnection, source: str | None = None) -> list[str]:
    """A count by state, a line per new alert, and a line per kind of continuing ones.

    ``source``: one lender and what concerns all; None for every lender.
    """
    episodes = [
        _Episode(*row)
        for row in con.execute(
            "select state, coalesce(source, 'all') as source, kind, subject, first_month, n_months, value, threshold, "
            "severity from monitoring.alert_episodes where $1 is null or source is null or source = $1 "
            "order by severity, last_month desc, n_months desc, kind, subject",
            [source],
        ).fetchall()
    ]
    if not episodes:
        return ["none"]
    by_state = {
        state: [episode for episode in episodes if episode.state == state] for state in ("new", "continuing", "ended")
    }
    counts = ", ".join(f"{len(found):,} {state}" for state, found in by_state.items())
    lines = [f"{counts} (monitoring.alert_episodes)"]
    lines += [_new(episode) for episode in by_state["new"][:_MOST_NEW]]
    if len(by_state["new"]) > _MOST_NEW:
        lines.append(f"and {len(by_state['new']) - _MOST_NEW:,} more new ones")
    return lines + _continuing(by_state["continuing"])


def _new(episode: _Episode) -> str:
    value, limit = episode.value, episode.threshold
    figures = "" if value is None or limit is None else f" {value:.3g} (limit {limit:.3g})"
    return (
        f"new in {episode.first_month:%Y-%m}: {episode.source} {episode.kind} {episode.subject}{figures}, "
        f"{episode.severity}"
    )


def _continuing(episodes: list[_Episode]) -> list[str]:
    kinds: dict[str, list[str]] = {}
    for episode in episodes:
        high = ", high" if episode.severity == "high" else ""
        subjects = kinds.setdefault(f"{episode.source} {episode.kind}", [])
        subjects.append(f"{episode.subject} ({episode.n_months} months{high})")
    return [f"continuing: {kind} {_listed(subjects)}" for kind, subjects in kinds.items()]


def _listed(subjects: list[str]) -> str:
    n_more = len(subjects) - _MOST_SUBJECTS
    return ", ".join(subjects[:_MOST_SUBJECTS]) + (f" and {n_more} more" if n_more > 0 else "")
