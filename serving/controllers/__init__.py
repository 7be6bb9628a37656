"""HTTP handlers by area: each reads the request, calls one service and declares its answers."""

__all__ = [
    "batches",
    "decisions",
    "health",
    "model",
    "models",
    "openapi",
    "outcomes",
    "scores",
]
