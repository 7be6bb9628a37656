"""One file per lender (``<name>.yml``): its label window, gate limits and publication rule, and their reader."""

__all__ = [
    "label_rule",
    "lender",
    "rules",
]
