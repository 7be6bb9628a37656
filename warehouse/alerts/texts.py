"""Alerts in words: the lines of a command, and the text of a message."""

from collections import Counter
from collections.abc import Sequence

from warehouse.alerts.alert import Alert

_MOST_SHOWN = 10
_MOST_SUBJECTS = 8


def counts_line(alerts: Sequence[Alert]) -> str:
    """How many alerts are open and acknowledged; "none" for no alert."""
    states = Counter[str](alert.state for alert in alerts)
    counted = ", ".join(f"{states[state]:,} {state}" for state in ("open", "acknowledged", "resolved") if states[state])
    return counted or "none"


def short_lines(alerts: Sequence[Alert]) -> list[str]:
    """A count by state and a line for each open alert; for pages that show other things too."""
    first = counts_line(alerts)
    shown = [alert for alert in alerts if alert.state == "open"]
    lines = [first if first == "none" else f"{first}: `loanlake alerts` says what to do"]
    lines += [summary(alert) for alert in shown[:_MOST_SHOWN]]
    if len(shown) > _MOST_SHOWN:
        lines.append(f"and {len(shown) - _MOST_SHOWN:,} more open ones")
    return lines


def long_lines(alerts: Sequence[Alert]) -> list[str]:
    """Each alert with its meaning, its remedy and who acknowledged it."""
    lines = [counts_line(alerts)]
    for alert in alerts:
        lines += ["", summary(alert), *(f"    {line}" for line in details(alert))]
    return lines


def summary(alert: Alert) -> str:
    """The alert in one line, with its id."""
    return (
        f"{alert.alert_id}  {alert.state}, {alert.severity}  {alert.source or 'all lenders'}: {headline(alert)}, "
        f"{_since(alert)}"
    )


def headline(alert: Alert) -> str:
    """What is wrong, how much of it, and the figure of the worst."""
    named = f" ({_listed(alert.subjects)})" if alert.n_subjects > 1 or alert.subjects != alert.cause else ""
    number = f", {alert.n_subjects}" if alert.n_subjects > 1 else ""
    return f"{alert.title}{number}{named}{_figures(alert)}"


def details(alert: Alert) -> list[str]:
    """What is new, the sentence of the worst subject, the meaning, the remedy, and the acknowledgement."""
    lines = []
    if alert.state != "resolved" and alert.new_subjects and alert.new_subjects != alert.subjects:
        lines.append(f"new this month: {_listed(alert.new_subjects)}")
    if alert.message:
        lines.append(f"found: {alert.message}")
    lines += [f"meaning: {alert.rule.meaning}", f"to do: {alert.rule.action} ({alert.rule.runbook})"]
    if alert.acknowledged_at is not None:
        again = "; it is open again, because its severity became high" if alert.state == "open" else ""
        lines.append(
            f"acknowledged by {alert.acknowledged_by} on {alert.acknowledged_at:%Y-%m-%d}: "
            f"{alert.acknowledged_because}{again}"
        )
    return lines


def _since(alert: Alert) -> str:
    if alert.state == "resolved":
        return f"from {alert.first_month:%Y-%m} to {alert.last_month:%Y-%m}"
    if alert.n_quiet_months:
        return f"from {alert.first_month:%Y-%m} to {alert.last_month:%Y-%m}, and not in the newest month"
    if alert.n_months == 1:
        return f"{'new in' if alert.new_subjects else 'since'} {alert.first_month:%Y-%m}"
    return f"since {alert.first_month:%Y-%m} ({alert.n_months} months)"


def _figures(alert: Alert) -> str:
    if alert.value is None or alert.threshold is None:
        return ""
    worst = f"{alert.worst_subject} " if alert.n_subjects > 1 else ""
    return f": {worst}{alert.value:.3g} (limit {alert.threshold:.3g})"


def _listed(subjects: str) -> str:
    names = subjects.split(", ")
    n_more = len(names) - _MOST_SUBJECTS
    return ", ".join(names[:_MOST_SUBJECTS]) + (f" and {n_more} more" if n_more > 0 else "")
