"""The lake: opening, writing in turns, tables and snapshots; the only code that knows DuckLake's metadata."""

__all__ = [
    "catalog_copy",
    "changes",
    "comments",
    "connection",
    "data_files",
    "dev_lakes",
    "feature_tables",
    "lease",
    "maintenance",
    "tables",
    "training_rows",
]
