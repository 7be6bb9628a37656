"""Limits on load: requests a minute of a caller, requests at the same time, slow clients."""

__all__ = [
    "load_shedding",
    "rate_limits",
]
