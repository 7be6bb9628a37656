"""Whether this server is ready: readiness checks and the gauges of ``/metrics``."""

#: The modules that other rooms may import.
__all__ = [
    "observation",
    "readiness",
]
