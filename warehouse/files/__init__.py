"""Files that last: replaced as a whole, private to their owner, named by patterns that are checked."""

#: The modules that other rooms may import.
__all__ = [
    "drafts",
    "json_lines",
    "patterns",
    "private_files",
    "replacing",
    "turns",
]
