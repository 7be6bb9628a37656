"""Whole runs, dbt's and Dagster's start-up included: the main run, and a day's monitoring."""
