"""The model bundle: written once, checked on opening, and scored with; the same scorer for every caller."""

#: The modules that other rooms may import.
__all__ = [
    "bundle",
    "feature_rows",
    "logged_values",
    "parity",
    "pyfunc_signature",
    "scorer",
]
