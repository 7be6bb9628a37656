"""The meaning of one value: the format of an input cell, the form of an id."""

#: The modules that other rooms may import.
__all__ = [
    "formats",
    "id_argument",
]
