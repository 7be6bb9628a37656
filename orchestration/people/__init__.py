"""Export or erase everything that a home holds about a person."""

__all__ = [
    "erasure",
    "export",
]
