"""SQL from a person: a read-only query, or a shell."""

__all__ = [
    "query",
    "quoting",
    "shell",
]
