"""Contributions against hand computation, Shapley's definition, and XGBoost's own TreeSHAP."""

import math
from itertools import combinations

import numpy as np
import pytest
import xgboost

import ml.trees.explain
from ml.trees.branches import Leaves
from ml.trees.explain import Explainer
from ml.trees.forest import Forest, Tree


def _tree(*nodes: tuple) -> Tree:
    """``nodes``: (column, threshold or leaf value, left, right, missing_goes_left, cover)."""
    column, threshold, left, right, missing, cover = zip(*nodes, strict=True)
    return Tree(
        feature=np.array(column, dtype=np.int32),
        threshold=np.array(threshold, dtype=np.float32),
        left=np.array(left, dtype=np.int32),
        right=np.array(right, dtype=np.int32),
        missing_goes_left=np.array(missing),
        cover=np.array(cover, dtype=np.float32),
    )


def _leaf(value: float, cover: float) -> tuple:
    return (0, value, -1, -1, False, cover)


#: x0 < 2: -1 (75 of 100 rows), else +1 (25).
STUMP = _tree((0, 2.0, 1, 2, True, 100.0), _leaf(-1.0, 75.0), _leaf(1.0, 25.0))
#: +4 only where x0 >= 2 and x1 >= 5; x0 splits 50:50, x1 below it 30:20.
BOTH = _tree(
    (0, 2.0, 1, 2, True, 100.0),
    _leaf(0.0, 50.0),
    (1, 5.0, 3, 4, False, 50.0),
    _leaf(0.0, 30.0),
    _leaf(4.0, 20.0),
)


def _explainer(*trees: Tree, base: float = 0.0, n_columns: int = 2) -> Explainer:
    return Explainer.from_forest(Forest(trees, np.float32(base), n_columns))


def _row(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_a_single_split_gives_its_leaf_less_the_mean():
    explainer = _explainer(STUMP, base=0.25)

    assert explainer.expected == pytest.approx(0.25 - 0.75 + 0.25)
    assert explainer.contributions(_row(3, 0)) == pytest.approx([1.5, 0])
    assert explainer.contributions(_row(1, 0)) == pytest.approx([-0.5, 0])


def test_two_columns_share_what_they_do_together():
    """Mean .8; knowing x0 alone gives 4 * 20/50 = 1.6, x1 alone 4 * 50/100 = 2, both 4."""
    contributions = _explainer(BOTH).contributions(_row(3, 6))

    of_x0 = ((1.6 - 0.8) + (4 - 2)) / 2
    of_x1 = ((2 - 0.8) + (4 - 1.6)) / 2
    assert contributions == pytest.approx([of_x0, of_x1])


def test_a_missing_value_is_explained_by_the_way_it_goes():
    explainer = _explainer(BOTH)

    assert explainer.contributions(_row(np.nan, 6)) == pytest.approx(explainer.contributions(_row(1, 6)))
    assert explainer.contributions(_row(3, np.nan)) == pytest.approx(explainer.contributions(_row(3, 6)))


def test_infinite_values_go_where_the_trees_send_them():
    explainer = _explainer(BOTH)

    assert explainer.contributions(_row(np.inf, np.inf)) == pytest.approx(explainer.contributions(_row(3, 6)))
    assert explainer.contributions(_row(-np.inf, np.inf)) == pytest.approx(explainer.contributions(_row(1, 6)))


def test_a_column_tested_twice_on_a_path_counts_once():
    """x0 < 4, then x0 < 2 below it: the leaf between the two is one interval of x0, whose tests lie in two bits."""
    twice = _tree(
        (0, 4.0, 1, 2, True, 100.0),
        (0, 2.0, 3, 4, False, 60.0),
        _leaf(0.0, 40.0),
        _leaf(1.0, 10.0),
        _leaf(3.0, 50.0),
    )
    explainer = _explainer(twice)

    mean = 0.1 + 1.5
    assert explainer.expected == pytest.approx(mean)
    assert explainer.contributions(_row(1, 0)) == pytest.approx([1 - mean, 0])
    assert explainer.contributions(_row(3, 0)) == pytest.approx([3 - mean, 0])
    assert explainer.contributions(_row(np.nan, 0)) == pytest.approx([3 - mean, 0])


def test_trees_without_a_test_contribute_nothing():
    explainer = _explainer(_tree(_leaf(0.25, 100.0)), _tree(_leaf(0.5, 100.0)))

    assert explainer.expected == 0.75
    assert explainer.contributions(_row(3, 0)).tolist() == [0, 0]


@pytest.fixture(scope="module")
def fitted() -> tuple[xgboost.Booster, np.ndarray]:
    random = np.random.default_rng(5)
    rows = random.normal(size=(3000, 6)).astype(np.float32)
    rows[random.random(rows.shape) < 0.15] = np.nan
    rows[:, 4] = random.integers(0, 4, 3000)
    target = random.random(3000) < 1 / (1 + np.exp(-(np.nan_to_num(rows[:, 0] * rows[:, 1]) + rows[:, 4] - 2)))
    parameters = {"objective": "binary:logistic", "max_depth": 5, "eta": 0.2, "nthread": 1}
    return xgboost.train(parameters, xgboost.DMatrix(rows, target), 40), rows[:300]


def test_contributions_are_those_of_xgboost(fitted):
    booster, rows = fitted
    theirs = booster.predict(xgboost.DMatrix(rows), pred_contribs=True)
    explainer = Explainer.from_forest(Forest.from_booster(booster))

    ours = np.array([explainer.contributions(row) for row in rows])

    assert np.abs(ours - theirs[:, :-1]).max() < 1e-5  # theirs are summed in float32
    assert explainer.expected == pytest.approx(theirs[0, -1], abs=1e-5)


def test_contributions_add_up_to_the_raw_score(fitted):
    booster, rows = fitted
    explainer = Explainer.from_forest(Forest.from_booster(booster))

    sums = np.array([explainer.contributions(row).sum() for row in rows]) + explainer.expected

    assert np.abs(sums - booster.inplace_predict(rows, predict_type="margin")).max() < 1e-5


def test_contributions_are_shapley_values_by_definition(fitted):
    """An independent implementation: every subset of columns, the expectation by walking the trees with covers."""
    booster, rows = fitted
    forest = Forest.from_booster(booster[:3])
    explainer = Explainer.from_forest(forest)

    for row in rows[:5]:
        assert explainer.contributions(row) == pytest.approx(_shapley_values(forest, row), abs=1e-9)


def test_deep_trees_are_explained_without_a_table(fitted, monkeypatch):
    """Prevents a depth from which memory would run out: both ways give the same contributions."""
    booster, rows = fitted
    forest = Forest.from_booster(booster)
    with_table = Explainer.from_forest(forest)

    monkeypatch.setattr(ml.trees.explain, "_LARGEST_TABLE", 0)
    without_table = Explainer.from_forest(forest)
    assert isinstance(without_table.paths, Leaves)

    for row in rows[:20]:
        assert without_table.contributions(row) == pytest.approx(with_table.contributions(row), abs=1e-12)


@pytest.mark.parametrize("policy", ["depthwise", "lossguide"])
def test_crooked_and_deep_trees_are_explained(fitted, policy):
    """Branches of many sizes, at many depths; too deep for a table where growth follows the loss."""
    _, rows = fitted
    target = (np.nan_to_num(rows[:, 0]) > np.nan_to_num(rows[:, 1])).astype(float)
    parameters = {"objective": "binary:logistic", "max_depth": 0 if policy == "lossguide" else 9, "max_leaves": 40}
    booster = xgboost.train(
        parameters | {"grow_policy": policy, "min_child_weight": 0, "nthread": 1}, xgboost.DMatrix(rows, target), 5
    )
    forest = Forest.from_booster(booster)
    explainer = Explainer.from_forest(forest)

    for row in rows[:3]:
        assert explainer.contributions(row) == pytest.approx(_shapley_values(forest, row), abs=1e-9)


def test_what_was_stored_explains_to_the_bit(fitted, monkeypatch):
    booster, rows = fitted
    forest = Forest.from_booster(booster)
    for largest in (2**22, 0):
        monkeypatch.setattr(ml.trees.explain, "_LARGEST_TABLE", largest)
        explainer = Explainer.from_forest(forest)
        again = Explainer.from_arrays(explainer.to_arrays())

        assert again.expected == explainer.expected
        assert all((again.contributions(row) == explainer.contributions(row)).all() for row in rows[:20])


def _shapley_values(forest: Forest, row: np.ndarray) -> list[float]:
    n = forest.n_columns

    def worth(known: frozenset[int]) -> float:
        return sum(_expectation(tree, 0, row, known) for tree in forest.trees)

    def value(column: int) -> float:
        others = [other for other in range(n) if other != column]
        total = 0.0
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for subset in combinations(others, size):
                known = frozenset(subset)
                total += weight * (worth(known | {column}) - worth(known))
        return total

    return [value(column) for column in range(n)]


def _expectation(tree: Tree, node: int, row: np.ndarray, known: frozenset[int]) -> float:
    if tree.is_leaf(node):
        return float(tree.threshold[node])
    left, right, column = int(tree.left[node]), int(tree.right[node]), int(tree.feature[node])
    if column in known:
        value = row[column]
        goes_left = bool(tree.missing_goes_left[node]) if np.isnan(value) else bool(value < tree.threshold[node])
        return _expectation(tree, left if goes_left else right, row, known)
    shares = [float(tree.cover[child]) / float(tree.cover[node]) for child in (left, right)]
    return sum(
        share * _expectation(tree, child, row, known) for share, child in zip(shares, (left, right), strict=True)
    )
