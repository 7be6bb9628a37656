"""Restores a home so that it can be used, checks backups by restoring them, and measures a recovery."""

__all__ = [
    "restoring",
    "verifying",
]
