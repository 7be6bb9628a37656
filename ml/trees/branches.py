"""A forest cut into branches: the tests that lead to a leaf, and the leaf's value.

A pattern of bits, the outcomes of the distinct tests above and in a branch, decides a row's way. A tree is cut where
that leaves fewer patterns in all: one whose nodes all test otherwise has branches of four leaves, an oblivious one is
a single branch.
"""

from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ml.trees.forest import Forest, Tree

#: Column, threshold, and whether a missing value passes.
_Test = tuple[int, float, bool]


@dataclass(frozen=True)
class Tests:
    """The distinct tests of a forest, ``value < threshold`` of a column, and those of each branch.

    ``column``, ``threshold``, ``missing`` (whether a missing value passes), shape (n_tests,). ``of_branch``, shape
    (n_branches, n_bits): indices of tests; the first outcome is bit 0 of a branch's pattern. A branch with fewer tests
    repeats one, in bits that no leaf reads.
    """

    column: NDArray[np.intp]
    threshold: NDArray[np.float32]
    missing: NDArray[np.bool_]
    of_branch: NDArray[np.intp]

    def patterns(self, row: NDArray[np.float32]) -> NDArray[np.intp]:
        """The outcomes of each branch's tests, shape (n_branches,), for an encoded row, shape (n_columns,)."""
        value = row.take(self.column)
        passed = (value < self.threshold) | (np.isnan(value) & self.missing)
        # doubles hold whole numbers up to 2^53, and their product is one call of BLAS
        return (passed.astype(np.float64).take(self.of_branch) @ self._powers).astype(np.intp)

    @cached_property
    def _powers(self) -> NDArray[np.float64]:
        return np.exp2(np.arange(self.of_branch.shape[1]))


@dataclass(frozen=True)
class Leaves:
    """Every leaf of a forest, the tests on its path merged by column.

    ``branch``, ``value`` (log-odds), shape (n_leaves,). ``column``, ``passes``, ``fails``, ``share``, shape (n_leaves,
    depth): the columns tested; the bits of the pattern that must be 1 and 0; and the share of the training cover that
    follows. Padding reads no bit and has a share of 1.
    """

    branch: NDArray[np.intp]
    value: NDArray[np.float64]
    column: NDArray[np.intp]
    passes: NDArray[np.int64]
    fails: NDArray[np.int64]
    share: NDArray[np.float64]

    def follows(self, patterns: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Passed tests, shape (n_leaves, n, depth), of ``patterns``, shape (n,) or (n_leaves, n)."""
        bits, passes, fails = patterns[..., None], self.passes[:, None, :], self.fails[:, None, :]
        follows: NDArray[np.bool_] = (bits & passes == passes) & (bits & fails == 0)
        return follows

    def some(self, begin: int, end: int) -> "Leaves":
        """The leaves of a range."""
        return Leaves(**{part.name: getattr(self, part.name)[begin:end] for part in fields(self)})


def read_branches(forest: Forest) -> tuple[Tests, Leaves]:
    """Read every tree once."""
    reader = _Reader()
    for tree in forest.trees:
        reader.read(tree)
    return reader.tests(), reader.leaves()


@dataclass
class _Merged:
    """The tests of one column on a path."""

    passes: int = 0
    fails: int = 0
    share: float = 1.0


@dataclass
class _Reader:
    numbers: dict[_Test, int] = field(default_factory=dict)
    branches: list[list[int]] = field(default_factory=list)
    paths: list[tuple[int, float, dict[int, _Merged]]] = field(default_factory=list)

    def read(self, tree: Tree) -> None:
        """Cut a tree into branches, each below a path from the root."""
        is_cut = _cuts(tree)
        waiting: list[tuple[int, list[tuple[int, bool]]]] = [(0, [])]
        while waiting:
            node, path = waiting.pop()
            if is_cut[node]:
                for child, passes in ((int(tree.left[node]), True), (int(tree.right[node]), False)):
                    waiting.append((child, [*path, (node, passes)]))
            else:
                self._add_branch(tree, node, path)

    def _add_branch(self, tree: Tree, root: int, above: list[tuple[int, bool]]) -> None:
        bits: dict[_Test, int] = {}
        for node, _ in above:
            bits.setdefault(_test(tree, node), len(bits))
        waiting = [(root, above)]
        while waiting:
            node, path = waiting.pop()
            if tree.is_leaf(node):
                merged = _merged(tree, node, path, bits)
                self.paths.append((len(self.branches), float(tree.threshold[node]), merged))
                continue
            bits.setdefault(_test(tree, node), len(bits))
            for child, passes in ((int(tree.left[node]), True), (int(tree.right[node]), False)):
                waiting.append((child, [*path, (node, passes)]))
        self.branches.append([self.numbers.setdefault(test, len(self.numbers)) for test in bits])

    def tests(self) -> Tests:
        """All tests read."""
        n_bits = max(map(len, self.branches), default=0)
        of_branch = np.zeros((len(self.branches), n_bits), dtype=np.intp)
        for number, tests in enumerate(self.branches):
            of_branch[number, : len(tests)] = tests
        # a forest of bare leaves has no tests
        columns, thresholds, missing = zip(*self.numbers, strict=True) if self.numbers else ((), (), ())
        return Tests(
            column=np.asarray(columns, dtype=np.intp),
            threshold=np.asarray(thresholds, dtype=np.float32),
            missing=np.asarray(missing, dtype=bool),
            of_branch=of_branch,
        )

    def leaves(self) -> Leaves:
        """All leaves read."""
        n_leaves, depth = len(self.paths), max((len(merged) for _, _, merged in self.paths), default=0)
        column = np.zeros((n_leaves, depth), dtype=np.intp)
        passes, fails = np.zeros((2, n_leaves, depth), dtype=np.int64)
        share = np.ones((n_leaves, depth))
        for leaf, (_, _, path) in enumerate(self.paths):
            for place, (tested, merged) in enumerate(sorted(path.items())):
                column[leaf, place] = tested
                passes[leaf, place], fails[leaf, place] = merged.passes, merged.fails
                share[leaf, place] = merged.share
        return Leaves(
            branch=np.asarray([branch for branch, _, _ in self.paths], dtype=np.intp),
            value=np.asarray([value for _, value, _ in self.paths], dtype=np.float64),
            column=column,
            passes=passes,
            fails=fails,
            share=share,
        )


def _test(tree: Tree, node: int) -> _Test:
    return int(tree.feature[node]), float(tree.threshold[node]), bool(tree.missing_goes_left[node])


def _merged(tree: Tree, leaf: int, path: list[tuple[int, bool]], bits: dict[_Test, int]) -> dict[int, _Merged]:
    merged: dict[int, _Merged] = {}
    for (node, passes), (child, _) in pairwise([*path, (leaf, True)]):
        column, bit = merged.setdefault(int(tree.feature[node]), _Merged()), 1 << bits[_test(tree, node)]
        if passes:
            column.passes |= bit
        else:
            column.fails |= bit
        cover = float(tree.cover[node])
        column.share *= float(tree.cover[child]) / cover if cover > 0 else 0.0
    return merged


def _cuts(tree: Tree) -> list[bool]:
    """For each node whether the branches below it have fewer patterns together than one branch from it."""
    n_nodes = len(tree.left)
    order, waiting = [], [(0, 0)]
    while waiting:
        node, depth = waiting.pop()
        order.append((node, depth))
        if not tree.is_leaf(node):
            waiting += [(int(tree.left[node]), depth + 1), (int(tree.right[node]), depth + 1)]
    tests: list[frozenset[_Test]] = [frozenset()] * n_nodes
    n_patterns, is_cut = [0] * n_nodes, [False] * n_nodes
    for node, depth in reversed(order):
        if tree.is_leaf(node):
            n_patterns[node] = 1 << depth
            continue
        left, right = int(tree.left[node]), int(tree.right[node])
        tests[node] = tests[left] | tests[right] | {_test(tree, node)}
        whole, cut = 1 << (depth + len(tests[node])), n_patterns[left] + n_patterns[right]
        n_patterns[node], is_cut[node] = min(whole, cut), cut < whole
    return is_cut
