"""Dagster, the API, MLflow and streams together: start them, wait until they are ready, show their state."""

__all__ = [
    "online_refresh",
    "only_daemon",
    "processes",
    "publishing",
    "status",
]
