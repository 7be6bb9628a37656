"""How a row of the matrix becomes one token per feature, before any weight: piecewise linear codes and gaps.

A number is coded by how far it fills each bin between the train rows' quantiles (Gorishniy et al., On Embeddings for
Numerical Features, 2022): no value beyond the train rows counts for more than their outermost, and a skewed income
needs no other scale. A category's columns, 0 or 1 each, are the slots of one token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class TokenPlan:
    """The slots of each feature's token; arrays of shape (n_features, n_slots), padded with slots that are always 0.

    A slot holds ``clip((value of its column - low) * scale, 0, 1)``. ``first_column``: shape (n_features,); a feature
    is missing where this column is NaN. ``typical``: shape (n_columns,), the row that reasons start from.
    """

    column: NDArray[np.int64]
    low: Array
    scale: Array
    first_column: NDArray[np.int64]
    typical: Array

    @classmethod
    def from_rows(cls, matrix: Array, features: Sequence[str], n_bins: int) -> "TokenPlan":
        """Quantiles and the typical row of train rows; ``features``: of each column, those of one feature adjacent.

        A feature that is the same in all of these rows gets no token: nothing can be learned of it, its weights would
        stay random, and each token costs attention. One token remains if no feature varies.
        """
        columns_of: dict[str, list[int]] = {}
        for column, feature in enumerate(features):
            columns_of.setdefault(feature, []).append(column)
        varying = [columns for columns in columns_of.values() if _varies(matrix[:, columns])]
        learned = varying or list(columns_of.values())[:1]
        slots = [_slots(matrix, columns, n_bins) for columns in learned]
        most = max(len(each) for each in slots)
        padded = np.array([each + [(each[0][0], 0.0, 0.0)] * (most - len(each)) for each in slots])
        return cls(
            column=padded[:, :, 0].astype(np.int64),
            low=padded[:, :, 1].astype(np.float32),
            scale=padded[:, :, 2].astype(np.float32),
            first_column=np.array([columns[0] for columns in learned], dtype=np.int64),
            typical=np.concatenate([_typical(matrix[:, columns]) for columns in columns_of.values()]),
        )

    @property
    def n_features(self) -> int:
        """The number of tokens."""
        return len(self.first_column)

    def codes(self, matrix: Array) -> tuple[Array, Array]:
        """The slots, shape (n, n_features, n_slots), 0 where missing; and 1 where a feature is missing, else 0."""
        missing = np.isnan(matrix[:, self.first_column])
        # infinity less infinity is not a number: the contract's encoding lets no infinity through
        slots = np.clip((matrix[:, self.column] - self.low) * self.scale, 0.0, 1.0)
        return np.where(missing[:, :, None], np.float32(0.0), slots), missing.astype(np.float32)


def _varies(block: Array) -> bool:
    """Whether two rows of a feature differ; a missing value differs from any other."""
    return bool(((block != block[0]) & ~(np.isnan(block) & np.isnan(block[0]))).any())


def _slots(matrix: Array, columns: Sequence[int], n_bins: int) -> list[tuple[int, float, float]]:
    """Column, lower end and inverse width of each slot of a feature."""
    if len(columns) > 1:
        return [(column, 0.0, 1.0) for column in columns]
    (column,) = columns
    known = matrix[:, column][~np.isnan(matrix[:, column])].astype(np.float64)
    if not len(known):
        return [(column, 0.0, 0.0)]
    # existing values only, so that a flag has one bin from 0 to 1
    ends = np.unique(np.quantile(known, np.linspace(0.0, 1.0, n_bins + 1), method="nearest"))
    if len(ends) == 1:
        return [(column, 0.0, 0.0)]
    return [(column, low, 1.0 / (high - low)) for low, high in pairwise(ends.tolist())]


def _typical(block: Array) -> Array:
    """A feature's median, or most frequent category; missing where most rows miss it."""
    missing = np.isnan(block[:, 0])
    if missing.mean() > 0.5:
        return np.full(block.shape[1], np.nan, dtype=np.float32)
    known = block[~missing]
    if block.shape[1] == 1:
        return np.asarray(np.quantile(known, [0.5], method="nearest"), dtype=np.float32)
    return np.asarray(np.arange(block.shape[1]) == known.sum(axis=0).argmax(), dtype=np.float32)
