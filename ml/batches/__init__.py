"""Score many rows in the background: files, lake tables, and applications that the lake already holds."""

#: The modules that other rooms may import.
__all__ = [
    "backfill",
    "rows",
    "runs",
]
