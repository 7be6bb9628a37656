"""Reasons of a transformer: integrated gradients from the typical row to the applicant's, without PyTorch.

Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks (2017). The path runs through the tokens, so that a
category or a missing value has a path too: each token moves in a straight line from the typical row's to the
applicant's. The integral along it is a Gauss-Legendre sum, whose error is reported as completeness error: the sum of
all contributions less the difference of both scores.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.transformer.tokens import Array
from ml.transformer.weights import EPSILON, Transformer

#: Points along the path: more where fewer miss the score by more than ``_MISSED``, in log-odds.
_POINTS = (16, 64, 256)
#: Points whose activations are held in memory together.
_POINTS_AT_A_TIME = 64
_MISSED = 1e-3
#: float32 throughout.
_Values = NDArray[Any]


@dataclass(frozen=True)
class PathExplainer:
    """Contributions of single rows."""

    model: Transformer

    def contributions(self, row: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds by column, shape (n_columns,); a feature's stand at its first column."""
        typical = self._typical_tokens
        tokens = self._tokens(row.reshape(1, -1))
        start, end = scores(self.model, np.concatenate([typical, tokens])).tolist()
        by_feature = np.zeros(len(typical[0]))
        for n_points in _POINTS:
            by_feature = self._integral(typical, tokens - typical, n_points)
            if abs(by_feature.sum() - (end - start)) <= _MISSED:
                break
        contributions = np.zeros(len(row))
        contributions[self.model.plan.first_column] = by_feature
        return contributions

    def _integral(self, typical: Array, moved: Array, n_points: int) -> NDArray[np.float64]:
        """Each feature's move times the mean gradient along it."""
        points, weights = np.polynomial.legendre.leggauss(n_points)
        steps, shares = ((points + 1.0) / 2.0).astype(np.float32), weights / 2.0
        slope = np.zeros(moved.shape[1:])
        for first in range(0, n_points, _POINTS_AT_A_TIME):
            part = slice(first, first + _POINTS_AT_A_TIME)
            slope += np.tensordot(shares[part], gradient(self.model, typical + steps[part, None, None] * moved), axes=1)
        return np.asarray((moved[0] * slope).sum(axis=1), dtype=np.float64)

    def _tokens(self, matrix: Array) -> Array:
        return self.model.tokens(*self.model.plan.codes(matrix))

    @cached_property
    def _typical_tokens(self) -> Array:
        return self._tokens(self.model.plan.typical.reshape(1, -1))


def scores(model: Transformer, tokens: Array) -> Array:
    """Log-odds, shape (n,), of tokens, shape (n, n_features, width)."""
    return _forward(model, tokens, [])


def gradient(model: Transformer, tokens: Array) -> Array:
    """How each row's log-odds change with each number of its tokens, in the tokens' shape."""
    tape: list[Any] = []
    _forward(model, tokens, tape)
    return _backward(model, tokens.shape, tape)


def _forward(model: Transformer, tokens: _Values, tape: list[Any]) -> _Values:
    """The scores; ``tape`` receives what :func:`_backward` needs, layer by layer."""
    weights, n_heads = model.weights, model.shape.n_heads
    n, n_tokens, width = tokens.shape
    x = tokens.reshape(n * n_tokens, width)  # one product for all rows
    for layer in range(model.shape.n_layers):
        normed, spread = _normed(x)
        mixed = normed * weights["attention_gain"][layer] + weights["attention_shift"][layer]
        mixed = mixed @ weights["query_key_value"][layer] + weights["query_key_value_bias"][layer]
        query, key, value = mixed.reshape(n, n_tokens, 3, n_heads, -1).transpose(2, 0, 3, 1, 4)
        attention = _softmax(query @ key.swapaxes(2, 3) * _scale(model))
        heads = (attention @ value).transpose(0, 2, 1, 3).reshape(n * n_tokens, width)
        x = x + heads @ weights["joined"][layer] + weights["joined_bias"][layer]
        normed_feed, spread_feed = _normed(x)
        inner = normed_feed * weights["feed_gain"][layer] + weights["feed_shift"][layer]
        inner = inner @ weights["up"][layer] + weights["up_bias"][layer]
        gate = _sigmoid(inner)
        x = x + (inner * gate) @ weights["down"][layer] + weights["down_bias"][layer]
        tape.append((normed, spread, query, key, value, attention, normed_feed, spread_feed, inner, gate))
    normed, spread = _normed(x)
    pooled = (normed * weights["last_gain"] + weights["last_shift"]).reshape(n, n_tokens, width).mean(axis=1)
    hidden = pooled @ weights["head"] + weights["head_bias"]
    gate = _sigmoid(hidden)
    tape.append((normed, spread, hidden, gate))
    result: _Values = ((hidden * gate) @ weights["score"] + weights["score_bias"])[:, 0]
    return result


def _backward(model: Transformer, shape: tuple[int, ...], tape: list[Any]) -> _Values:
    weights = model.weights
    n, n_tokens, width = shape
    normed, spread, hidden, gate = tape.pop()
    pooled = (weights["score"][:, 0] * _silu_slope(hidden, gate)) @ weights["head"].T
    each = np.repeat(pooled / np.float32(n_tokens), n_tokens, axis=0)
    x = _through_norm(each * weights["last_gain"], normed, spread)
    for layer in reversed(range(model.shape.n_layers)):
        normed, spread, query, key, value, attention, normed_feed, spread_feed, inner, gate = tape.pop()
        into = (x @ weights["down"][layer].T) * _silu_slope(inner, gate)
        into = (into @ weights["up"][layer].T) * weights["feed_gain"][layer]
        x = x + _through_norm(into, normed_feed, spread_feed)
        heads = (x @ weights["joined"][layer].T).reshape(n, n_tokens, model.shape.n_heads, -1).transpose(0, 2, 1, 3)
        of_attention = heads @ value.swapaxes(2, 3)
        of_attention = attention * (of_attention - (of_attention * attention).sum(axis=3, keepdims=True))
        of_attention *= _scale(model)
        of_mixed = np.stack([of_attention @ key, of_attention.swapaxes(2, 3) @ query, attention.swapaxes(2, 3) @ heads])
        into = of_mixed.transpose(1, 3, 0, 2, 4).reshape(n * n_tokens, 3 * width) @ weights["query_key_value"][layer].T
        x = x + _through_norm(into * weights["attention_gain"][layer], normed, spread)
    return np.asarray(x.reshape(n, n_tokens, width), dtype=np.float32)


def _scale(model: Transformer) -> np.float32:
    return np.float32((model.shape.width // model.shape.n_heads) ** -0.5)


def _normed(x: _Values) -> tuple[_Values, _Values]:
    """Each row less its mean over its standard deviation, and one over that deviation."""
    centred = x - x.mean(axis=1, keepdims=True)
    inverse = 1.0 / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + np.float32(EPSILON))
    return centred * inverse, inverse


def _through_norm(of_normed: _Values, normed: _Values, inverse: _Values) -> _Values:
    """The gradient before :func:`_normed` from that after it."""
    mean = of_normed.mean(axis=1, keepdims=True)
    result: _Values = inverse * (of_normed - mean - normed * (of_normed * normed).mean(axis=1, keepdims=True))
    return result


def _softmax(x: _Values) -> _Values:
    powers: _Values = np.exp(x - x.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def _sigmoid(x: _Values) -> _Values:
    # by tanh: no overflow of exp for large negative numbers
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1.0))


def _silu_slope(x: _Values, gate: _Values) -> _Values:
    return gate * (1.0 + x * (1.0 - gate))
