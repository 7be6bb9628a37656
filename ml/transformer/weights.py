"""The numbers of a transformer, by name: one set for PyTorch, NumPy and ONNX."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.transformer.tokens import Array, TokenPlan

#: Added to a variance before its root is taken, as in PyTorch's LayerNorm.
EPSILON = 1e-5


@dataclass(frozen=True)
class Shape:
    """``width``: numbers of a token; ``n_heads`` divides it; ``feed_forward``: width between a layer's two maps."""

    n_features: int
    n_slots: int
    width: int
    n_layers: int
    n_heads: int
    feed_forward: int

    def of_weights(self) -> dict[str, tuple[int, ...]]:
        """Each array's shape; those of the layers are stacked. A map from a to b numbers is (a, b)."""
        layers, width, inner = self.n_layers, self.width, self.feed_forward
        return {
            "slots": (self.n_features, self.n_slots, width),
            "present": (self.n_features, width),
            "missing": (self.n_features, width),
            "attention_gain": (layers, width),
            "attention_shift": (layers, width),
            "query_key_value": (layers, width, 3 * width),
            "query_key_value_bias": (layers, 3 * width),
            "joined": (layers, width, width),
            "joined_bias": (layers, width),
            "feed_gain": (layers, width),
            "feed_shift": (layers, width),
            "up": (layers, width, inner),
            "up_bias": (layers, inner),
            "down": (layers, inner, width),
            "down_bias": (layers, width),
            "last_gain": (width,),
            "last_shift": (width,),
            "head": (width, width),
            "head_bias": (width,),
            "score": (width, 1),
            "score_bias": (1,),
        }


@dataclass(frozen=True)
class Transformer:
    """Weights, float32, by the names of :meth:`Shape.of_weights`, and the plan of the tokens.

    A row's tokens pass ``n_layers`` of attention and feed-forward, each after a layer norm and added to its input; the
    mean of the normalised tokens passes a head of two layers. SiLU bends both: smooth, as integrated gradients need.
    """

    shape: Shape
    plan: TokenPlan
    weights: Mapping[str, Array]

    def tokens(self, codes: Array, missing: Array) -> Array:
        """Tokens, shape (n, n_features, width), from :meth:`TokenPlan.codes`."""
        weights = self.weights
        known = np.matmul(codes.transpose(1, 0, 2), weights["slots"]).transpose(1, 0, 2) + weights["present"]
        return np.where(missing[:, :, None] > 0, weights["missing"], known)

    def write(self, path: Path) -> None:
        """Write the numbers; equal numbers give equal bytes."""
        shape = np.frombuffer(json.dumps(vars(self.shape)).encode(), dtype=np.uint8)
        plan = {f"plan.{name}": array for name, array in vars(self.plan).items()}
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, shape=shape, **plan, **self.weights)

    @classmethod
    def read(cls, path: Path) -> "Transformer":
        """The inverse of :meth:`write`; raises KeyError or ValueError for another file."""
        with np.load(path, allow_pickle=False) as arrays:
            shape = Shape(**json.loads(arrays["shape"].tobytes()))
            plan = TokenPlan(**{name[5:]: arrays[name] for name in arrays.files if name.startswith("plan.")})
            return cls(shape, plan, {name: arrays[name] for name in shape.of_weights()})
