"""Batches over HTTP: accept bodies, queue, list and cancel batches, download results."""

#: The modules that other rooms may import.
__all__ = [
    "body",
    "downloads",
    "queue",
    "wire",
]
