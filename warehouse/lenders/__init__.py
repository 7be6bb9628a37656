"""One file per lender (``<name>.yml``): all that is set for it alone, and the reader."""

__all__ = [
    "connections",
    "family_names",
    "files",
    "kept_keys",
    "keys",
    "label_rule",
    "lender",
    "rules",
    "streams",
]
