"""A person's data in the warehouse: found, exported, erased, or replaced by pseudonyms in logs."""

__all__ = [
    "batches",
    "erasure",
    "person",
    "pseudonyms",
    "requests",
]
