"""A transformer over a row's features: its numbers, how they are learned, served by ONNX, and explained.

Only :mod:`ml.transformer.learning` needs PyTorch; scores and reasons need NumPy and ONNX Runtime alone.
"""

__all__ = ["explain", "learning", "onnx_form", "settings", "tokens", "weights"]
