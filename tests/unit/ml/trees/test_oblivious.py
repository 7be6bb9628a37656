"""CatBoost's trees as a forest, against CatBoost's own scores and Shapley values."""

import json
from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ml.trees.explain import Explainer, Table
from ml.trees.forest import Forest
from ml.trees.oblivious import forest_of
from ml.trees.onnx_twin import open_session, raw_scores, to_onnx
from warehouse.errors import BundleError

N_COLUMNS = 6
#: Each of 40 leaves below 1, and each partial sum below 8, is rounded by at most half of 2^-21.
ROUNDING = 40 * 2**-21


def _rows(n: int, seed: int) -> np.ndarray:
    """Column 2 counts, column 4 is 0 or 1; 0 to 5 have missing values, but column 3."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, N_COLUMNS)).astype(np.float32)
    rows[:, 2], rows[:, 4] = random.integers(-2, 3, n), random.random(n) < 0.3
    rows[(random.random(rows.shape) < 0.15) & (np.arange(N_COLUMNS) != 3)] = np.nan
    return rows


def _exported(model: catboost.CatBoost, directory: Path) -> dict[str, Any]:
    model.save_model(str(directory / "model.json"), format="json")
    exported: dict[str, Any] = json.loads((directory / "model.json").read_text(encoding="utf-8"))
    return exported


def _trained(**parameters: object) -> catboost.CatBoost:
    rows = _rows(3000, seed=3)
    log_odds = np.nan_to_num(rows[:, 0] * rows[:, 1], nan=1.0) + np.nan_to_num(rows[:, 2]) - 1.5 + rows[:, 3]
    target = np.random.default_rng(4).random(3000) < 1 / (1 + np.exp(-log_odds))
    settings = {"loss_function": "Logloss", "boost_from_average": True, "iterations": 40, "depth": 5} | parameters
    model = catboost.CatBoost(settings | {"learning_rate": 0.2, "thread_count": 1, "allow_writing_files": False})
    return model.fit(catboost.Pool(rows, target.astype(int)), logging_level="Silent")


@pytest.fixture(scope="module")
def model() -> catboost.CatBoost:
    return _trained()


@pytest.fixture(scope="module")
def forest(model: catboost.CatBoost, tmp_path_factory: pytest.TempPathFactory) -> Forest:
    return forest_of(_exported(model, tmp_path_factory.mktemp("model")), n_columns=N_COLUMNS)


@pytest.fixture(scope="module")
def session(forest: Forest) -> Any:
    return open_session(to_onnx(forest))


def _theirs(model: catboost.CatBoost, rows: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict(rows, prediction_type="RawFormulaVal", thread_count=1))


def _borders(model: catboost.CatBoost) -> list[np.ndarray]:
    return [np.asarray(model.get_borders()[column], dtype=np.float32) for column in range(N_COLUMNS)]


def test_rows_on_borders_beside_them_missing_and_infinite_score_as_catboost_does(model, session):
    """A value on a border goes left, the next greater one right: the wrong side would move a score by a leaf."""
    random, borders, largest = np.random.default_rng(5), _borders(model), np.float32(3.4028235e38)
    rows = _rows(9000, seed=6)
    for column, known in enumerate(borders):
        of_column = np.concatenate([known, np.nextafter(known, largest), np.nextafter(known, -largest)])
        hostile = np.array([np.nan, np.inf, -np.inf, largest, -largest, 0.0, -0.0, 1e-45], dtype=np.float32)
        kind = random.integers(0, 3, len(rows))
        rows[:, column] = np.choose(
            kind, [rows[:, column], random.choice(of_column, len(rows)), random.choice(hostile, len(rows))]
        )

    scores = raw_scores(session, rows)

    assert sum(map(len, borders)) > 100
    np.testing.assert_allclose(scores, _theirs(model, rows), rtol=0, atol=ROUNDING)


@settings(max_examples=150, deadline=None)
@given(rows=arrays(np.float32, (3, N_COLUMNS), elements=st.floats(width=32)))
def test_any_value_scores_as_catboost_does(model, session, rows):
    np.testing.assert_allclose(raw_scores(session, rows), _theirs(model, rows), rtol=0, atol=ROUNDING)


def test_contributions_are_those_of_catboost(model, forest):
    rows = _rows(200, seed=8)
    theirs = model.get_feature_importance(catboost.Pool(rows), type="ShapValues", thread_count=1)

    explainer = Explainer.from_forest(forest)

    ours = np.array([explainer.contributions(row) for row in rows])
    np.testing.assert_allclose(ours, theirs[:, :-1], atol=1e-5)
    assert explainer.expected == pytest.approx(theirs[0, -1], abs=1e-5)


def test_an_oblivious_tree_is_one_branch_of_as_many_patterns_as_leaves(forest):
    """Prevents a table of sixteen times the size, for which reasons would be computed leaf by leaf."""
    explainer = Explainer.from_forest(forest)

    assert isinstance(explainer.paths, Table)
    assert explainer.tests.of_branch.shape == (40, 5)
    assert len(explainer.paths.value) == 40 * 2**5


def test_a_test_of_a_columns_absence_is_a_test_of_the_column():
    """One tree by hand: bit 0 is x0 > 2, bit 1 says that x1 is missing."""
    splits = [
        {"border": 2.0, "float_feature_index": 0, "split_type": "FloatFeature"},
        {"border": 0.5, "float_feature_index": 2, "split_type": "FloatFeature"},
    ]
    exported = {
        "features_info": {"float_features": []},
        "oblivious_trees": [
            {"leaf_values": [1.0, 2.0, 4.0, 8.0], "leaf_weights": [40.0, 30.0, 20.0, 10.0], "splits": splits}
        ],
        "scale_and_bias": [1, [0.5]],
    }
    forest = forest_of(exported, n_columns=2, missing_of=[1])
    nan = np.nan
    rows = np.array([[2, 7], [2.0000002, 7], [2, nan], [3, nan], [nan, -np.inf], [nan, nan]], dtype=np.float32)

    scores = raw_scores(open_session(to_onnx(forest)), rows)
    explainer = Explainer.from_forest(forest)

    assert scores.tolist() == [1.5, 2.5, 4.5, 8.5, 1.5, 4.5]
    assert explainer.expected == pytest.approx(0.5 + (40 + 60 + 80 + 80) / 100)
    # the root tests x1, which .7 of the rows have; of those 3/7 have x0 above 2, of the others 1/3
    of_x0 = 1 - (40 + 60) / 70, 0.7 * 1 + 0.3 * 4 - 2.6
    of_x1 = (40 + 60) / 70 - 2.6, 1 - (0.7 * 1 + 0.3 * 4)
    expected = [(of_x0[0] + of_x0[1]) / 2, (of_x1[0] + of_x1[1]) / 2]
    assert explainer.contributions(rows[0]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grow_policy": "Depthwise"}, "must have oblivious trees: found"),
        ({"nan_mode": "Max"}, "must count as the lowest in a bundle's CatBoost model: found nan_mode Max"),
    ],
)
def test_a_model_of_another_kind_is_refused(change, message, tmp_path):
    exported = _exported(_trained(iterations=2, **change), tmp_path)

    with pytest.raises(BundleError, match=message):
        forest_of(exported, n_columns=N_COLUMNS)
