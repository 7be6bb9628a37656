"""Score many rows in the background: files, lake tables, and applications that the lake already holds."""

__all__ = [
    "backfill",
    "rows",
    "runs",
]
