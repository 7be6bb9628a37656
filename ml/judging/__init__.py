"""Judge a candidate: metrics, evaluation by split, gates, and the rule of automatic publication."""

__all__ = [
    "evaluation",
    "gate",
    "gate_limits",
    "gates",
    "intervals",
    "leakage",
    "metrics",
    "plots",
    "publication",
]
