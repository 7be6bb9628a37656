"""Exact TreeSHAP contributions to the raw score, without importing XGBoost.

XGBoost brings pandas, scikit-learn and 4 s of import, and its ``pred_contribs`` walks every tree for every row. Most of
that work is done once, when a bundle is written.

For a leaf of value v whose path tests the columns 1..k, let z_i be the share of the training cover that follows column
i's tests, and o_i 1 if the row passes them, else 0. It contributes to column i (Lundberg et al., "From local
explanations to global understanding with explainable AI for trees", 2020)::

    v (o_i - z_i) ∫_0^1 Π_{j≠i} (o_j t + z_j (1 - t)) dt

This is Shapley's weighted sum over subsets as the integral of a polynomial of degree k - 1; Gauss-Legendre quadrature
with ⌈k/2⌉ points is exact. The leaves of a branch (``ml.trees.branches``) depend on d + 1 tests in a tree of depth d,
on d in an oblivious one, and all their outcomes are tabulated: a row costs one comparison per distinct test, one
look-up per branch and one sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ml.trees.branches import Leaves, Tests, read_branches
from ml.trees.forest import Forest

#: 2^22 doubles are 32 MB; 400 trees of depth 5 need 1.1 M. Beyond it, each row is computed.
_LARGEST_TABLE = 2**22
_LEAVES_AT_ONCE = 2048


@dataclass(frozen=True)
class Table:
    """The contributions of a branch's leaves together, for every pattern of outcomes.

    ``column``, shape (n_branches, n_places): the columns tested. ``value``, shape (n_branches * 2^n_bits, n_places):
    their contributions, a branch's patterns one after another.
    """

    column: NDArray[np.intp]
    value: NDArray[np.float64]

    @classmethod
    def of(cls, tests: Tests, leaves: Leaves) -> Self | None:
        """The table, or None if it would be too large."""
        n_branches, n_bits = tests.of_branch.shape
        column, place = _places(leaves, n_branches)
        if (n_branches * column.shape[1]) << n_bits > _LARGEST_TABLE:
            return None
        patterns = np.arange(2**n_bits, dtype=np.intp)
        value = np.zeros((*column.shape, len(patterns)))
        for begin in range(0, len(leaves.value), _LEAVES_AT_ONCE):
            some = leaves.some(begin, begin + _LEAVES_AT_ONCE)
            branch, of_leaf = some.branch[:, None], place[begin : begin + _LEAVES_AT_ONCE]
            np.add.at(value, (branch, of_leaf), _shapley(some, patterns).transpose(0, 2, 1))
        return cls(column, value.transpose(0, 2, 1).reshape(n_branches << n_bits, column.shape[1]))

    def contributions(self, patterns: NDArray[np.intp], n_columns: int) -> NDArray[np.float64]:
        """Shape (n_columns,), for a pattern of each branch, shape (n_branches,)."""
        found = self.value.take(self._first + patterns, axis=0)
        return _sums(self._columns, found, n_columns)

    @cached_property
    def _first(self) -> NDArray[np.intp]:
        n_branches = len(self.column)
        return np.arange(n_branches, dtype=np.intp) * (len(self.value) // max(n_branches, 1))

    @cached_property
    def _columns(self) -> NDArray[np.intp]:
        return self.column.ravel()


@dataclass(frozen=True)
class Explainer:
    """Contributions of each column to a row's raw score, in log-odds.

    ``expected``: mean raw score over the training cover; with ``contributions.sum()`` it gives the raw score.
    ``paths``: a table, or the leaves if one would be too large.
    """

    tests: Tests
    paths: Table | Leaves
    expected: float
    n_columns: int

    @classmethod
    def from_forest(cls, forest: Forest) -> Self:
        """Read and tabulate every tree: half a second for 400 trees of depth 5."""
        tests, leaves = read_branches(forest)
        expected = float(forest.base_margin + np.sum(leaves.value * leaves.share.prod(axis=1)))
        return cls(tests, Table.of(tests, leaves) or leaves, expected, forest.n_columns)

    def contributions(self, row: NDArray[np.float32]) -> NDArray[np.float64]:
        """Shape (n_columns,) for one encoded row, shape (n_columns,); independent of earlier rows."""
        patterns = self.tests.patterns(row)
        if isinstance(self.paths, Table):
            return self.paths.contributions(patterns, self.n_columns)
        by_leaf = _shapley(self.paths, patterns[self.paths.branch, None])
        return _sums(self.paths.column.ravel(), by_leaf, self.n_columns)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for ``numpy.savez``, stored as ``explainer.npz``."""
        kind = "table" if isinstance(self.paths, Table) else "leaves"
        arrays = {
            f"{name}.{part.name}": getattr(held, part.name)
            for name, held in (("tests", self.tests), (kind, self.paths))
            for part in fields(held)
        }
        return arrays | {"expected": np.asarray(self.expected), "n_columns": np.asarray(self.n_columns)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The inverse of :meth:`to_arrays`; raises KeyError if one is missing."""

        def held(name: str, kind: Any) -> Any:
            return kind(**{part.name: arrays[f"{name}.{part.name}"] for part in fields(kind)})

        paths = held("table", Table) if "table.value" in arrays else held("leaves", Leaves)
        return cls(held("tests", Tests), paths, float(arrays["expected"]), int(arrays["n_columns"]))


def _places(leaves: Leaves, n_branches: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The distinct columns of each branch, shape (n_branches, n_places), and the places of each leaf's columns.

    Padding names column 0, with no contribution.
    """
    found: list[dict[int, int]] = [{} for _ in range(n_branches)]
    place = np.zeros(leaves.column.shape, dtype=np.intp)
    for leaf, depth in zip(*(leaves.passes | leaves.fails).nonzero(), strict=True):
        of_branch = found[leaves.branch[leaf]]
        place[leaf, depth] = of_branch.setdefault(int(leaves.column[leaf, depth]), len(of_branch))
    column = np.zeros((n_branches, max(map(len, found), default=0)), dtype=np.intp)
    for branch, of_branch in enumerate(found):
        column[branch, : len(of_branch)] = list(of_branch)
    return column, place


def _sums(columns: NDArray[np.intp], values: NDArray[np.float64], n_columns: int) -> NDArray[np.float64]:
    # bincount of nothing gives integers
    return np.bincount(columns, values.ravel(), minlength=n_columns).astype(np.float64, copy=False)


def _shapley(leaves: Leaves, patterns: NDArray[np.intp]) -> NDArray[np.float64]:
    """The module's formula, shape (n_leaves, n, depth), for patterns as :meth:`Leaves.follows` accepts them."""
    passed, share = leaves.follows(patterns).astype(np.float64), leaves.share[:, None, :]
    depth = share.shape[-1]
    nodes, weights = np.polynomial.legendre.leggauss((depth + 1) // 2 or 1)
    total = np.zeros(np.broadcast_shapes(passed.shape, share.shape))
    for t, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        factors = passed * t + share * (1 - t)
        for place in range(depth):
            total[..., place] += weight * np.delete(factors, place, axis=-1).prod(axis=-1)
    return total * (passed - share) * leaves.value[:, None, None]
