"""Batches over HTTP: accept bodies, queue, list and cancel batches, download results."""

__all__ = [
    "body",
    "downloads",
    "queue",
    "wire",
]
