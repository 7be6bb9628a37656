"""The model bundle: written once, checked on opening; all callers score with the same scorer."""

__all__ = [
    "bundle",
    "feature_rows",
    "logged_values",
    "parity",
    "pyfunc_signature",
    "scorer",
]
