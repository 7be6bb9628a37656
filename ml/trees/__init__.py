"""Boosted trees without XGBoost: flat arrays, the ONNX twin, exact contributions and the reasons made of them."""

__all__ = [
    "explain",
    "forest",
    "oblivious",
    "onnx_twin",
]
