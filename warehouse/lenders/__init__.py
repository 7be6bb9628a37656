"""One file a lender (``<name>.yml``): its label window, gate limits and publication rule, and how they are read."""

#: The modules that other rooms may import.
__all__ = [
    "label_rule",
    "rules",
]
