"""Chooses a home's counts of calls."""

from serving.overload.call_counts import CallCounts, MachineCounts
from warehouse.settings import Settings


def open_counts(settings: Settings) -> CallCounts:
    """The counts of a home: in Redis where ``LOANLAKE_REDIS_URL`` is set, else in a file of the home."""
    machine = MachineCounts(settings.call_counts)
    if settings.redis_url is None:
        return machine
    from serving.overload.redis_counts import RedisCounts  # redis is an extra

    return RedisCounts(
        settings.redis_url,
        prefix=settings.redis_prefix,
        timeout_seconds=settings.redis_timeout_seconds,
        meanwhile=machine,
    )
