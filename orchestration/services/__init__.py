"""Dagster, the API and MLflow together: start them, wait until they are ready, show their state."""

#: The modules that other rooms may import.
__all__ = [
    "processes",
    "status",
]
