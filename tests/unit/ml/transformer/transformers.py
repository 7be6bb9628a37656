"""Transformers with weights at random: they need no PyTorch, and are as hard to score and explain as learned ones."""

import numpy as np

from ml.transformer.tokens import TokenPlan
from ml.transformer.weights import Shape, Transformer

#: A number, a category of three values, a flag, and a number that most rows miss.
FEATURES = ("income", "purpose", "purpose", "purpose", "owner", "arrears")


def rows(n: int, *, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    matrix = np.empty((n, len(FEATURES)), dtype=np.float32)
    matrix[:, 0] = random.lognormal(10, 1, n)
    matrix[:, 1:4] = np.eye(3)[random.choice(3, n, p=[0.2, 0.5, 0.3])]
    matrix[:, 4] = random.random(n) < 0.5
    matrix[:, 5] = random.poisson(3, n)
    matrix[random.random(n) < 0.7, 5] = np.nan
    matrix[::7, 0] = np.nan
    matrix[3::7, 1:4] = np.nan
    return matrix


def transformer(*, seed: int = 1, n_layers: int = 2, width: int = 8) -> Transformer:
    random = np.random.default_rng(seed)
    plan = TokenPlan.from_rows(rows(400, seed=0), FEATURES, n_bins=4)
    shape = Shape(plan.n_features, plan.column.shape[1], width, n_layers, n_heads=4, feed_forward=16)
    weights = {
        name: random.normal(size=size, scale=0.5).astype(np.float32) + (1 if name.endswith("gain") else 0)
        for name, size in shape.of_weights().items()
    }
    return Transformer(shape, plan, weights)
