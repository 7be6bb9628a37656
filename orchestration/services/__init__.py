"""Dagster, the API and MLflow together: start them, wait until they are ready, show their state."""

__all__ = [
    "only_daemon",
    "processes",
    "status",
]
