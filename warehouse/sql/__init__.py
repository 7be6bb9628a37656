"""SQL from a person: one read-only query, or a shell."""

#: The modules that other rooms may import.
__all__ = [
    "query",
    "quoting",
    "shell",
]
