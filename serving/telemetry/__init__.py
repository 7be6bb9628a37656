"""What operators see: logs, metrics, request ids, and the state of worker processes."""

__all__ = [
    "logs",
    "metrics",
    "request_log",
    "request_trace",
    "workers",
]
