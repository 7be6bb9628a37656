"""Runs a job outside the Dagster UI: the main run, one execution, its summary."""

__all__ = [
    "instance",
    "main_run",
    "process",
]
