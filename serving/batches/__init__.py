"""Batches over HTTP: bodies accepted, queued, listed, cancelled, and results downloaded."""

#: The modules that other rooms may import.
__all__ = [
    "body",
    "downloads",
    "queue",
    "wire",
]
