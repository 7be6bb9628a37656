"""The server's clock, and the limits for times that callers send."""

from datetime import UTC, datetime, timedelta

from ml.decisions.problems import Violation

#: How far a caller's clock may be ahead.
CLOCK_SKEW = timedelta(minutes=5)


def utc_now() -> datetime:
    """Now, in naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def in_utc(time: datetime | None) -> datetime | None:
    """A naive UTC time for JSON: with its Z."""
    return time.replace(tzinfo=UTC) if time is not None else None


def future_violation(field: str, time: datetime, now: datetime) -> Violation | None:
    """The violation of a time in the future, or None."""
    if time <= now + CLOCK_SKEW:
        return None
    return wrong_time(field, time, f"must not be in the future: it is {now.isoformat(timespec='seconds')}Z here")


def wrong_time(field: str, time: datetime, rule: str) -> Violation:
    """A time that breaks a rule, shown in UTC."""
    return Violation(field=field, rule=rule, found=f"{time.isoformat()}Z")
