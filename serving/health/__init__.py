"""Is this server ready, and how does it do? Readiness checks and the gauges of ``/metrics``."""

#: The modules that other rooms may import.
__all__ = [
    "observation",
    "readiness",
]
