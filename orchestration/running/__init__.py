"""Runs a job outside the Dagster UI: the main run, one execution, its summary."""

#: The modules that other rooms may import.
__all__ = [
    "instance",
    "main_run",
]
