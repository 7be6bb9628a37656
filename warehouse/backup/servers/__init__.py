"""What a team has on its servers, in backups: the database, the lake's files, MLflow's and Dagster's objects."""

__all__ = [
    "database",
    "objects",
]
