"""The server's clock, and the limits for times that callers send."""

from datetime import UTC, datetime, timedelta

from ml.decisions.problems import Violation

#: How far a caller's clock may run ahead of this one.
CLOCK_SKEW = timedelta(minutes=5)


def utc_now() -> datetime:
    """Now, naive UTC as all times in the lake."""
    return datetime.now(UTC).replace(tzinfo=None)


def in_utc(time: datetime | None) -> datetime | None:
    """A naive UTC time of the lake or the log, as JSON should show it: with its Z."""
    return time.replace(tzinfo=UTC) if time is not None else None


def future_violation(field: str, time: datetime, now: datetime) -> Violation | None:
    """What is wrong with a time that should have passed."""
    if time <= now + CLOCK_SKEW:
        return None
    return wrong_time(field, time, f"must not be in the future: it is {now.isoformat(timespec='seconds')}Z here")


def wrong_time(field: str, time: datetime, rule: str) -> Violation:
    """A time that breaks a rule, shown in UTC."""
    return Violation(field=field, rule=rule, found=f"{time.isoformat()}Z")
