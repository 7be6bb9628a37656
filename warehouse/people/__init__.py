"""What the warehouse holds about a person: found, exported, erased, and replaced by pseudonyms in logs."""

#: The modules that other rooms may import.
__all__ = [
    "batches",
    "erasure",
    "person",
    "pseudonyms",
    "requests",
]
