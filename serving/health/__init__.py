"""Whether this server is ready: readiness checks and the gauges of ``/metrics``."""

__all__ = [
    "observation",
    "readiness",
    "streams",
]
