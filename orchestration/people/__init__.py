"""Export or erase everything that a home holds about a person."""

#: The modules that other rooms may import.
__all__ = [
    "erasure",
    "export",
]
