"""The lake: open it, take turns at writing it, keep its tables and snapshots; all that knows DuckLake's metadata."""

#: The modules that other rooms may import.
__all__ = [
    "changes",
    "comments",
    "connection",
    "data_files",
    "dev_lakes",
    "maintenance",
    "rows",
    "tables",
    "training_rows",
]
