"""Is a candidate good enough? Metrics, evaluation by split, gates, and the rule of automatic publication."""

#: The modules that other rooms may import.
__all__ = [
    "evaluation",
    "gate",
    "gate_limits",
    "gates",
    "leakage",
    "metrics",
    "plots",
    "publication",
]
