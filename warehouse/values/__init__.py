"""The meaning of one value: the format of an input cell, the form of an id."""

__all__ = [
    "formats",
    "id_argument",
]
