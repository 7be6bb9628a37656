"""Boosted trees without XGBoost: flat arrays, the ONNX twin, exact contributions and the reasons made of them."""

#: The modules that other rooms may import.
__all__ = [
    "explain",
    "forest",
    "onnx_twin",
]
