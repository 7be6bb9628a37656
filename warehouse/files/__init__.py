"""Files: replaced as a whole, private to their owner, locked, or named as drafts."""

__all__ = [
    "drafts",
    "json_lines",
    "patterns",
    "private_files",
    "replacing",
    "sqlite_copy",
    "turns",
]
