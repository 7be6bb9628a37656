"""HTTP handlers by area: each reads the request, calls one service and declares its answers."""

__all__ = [
    "batches",
    "decisions",
    "features",
    "health",
    "models",
    "openapi",
    "scores",
]
