"""Boosted trees on small made-up risks."""

import numpy as np
import pytest

from ml.families.linear.logistic import LogisticRegression
from ml.families.protocol import Sample
from ml.families.tree_based.boosted_trees import GradientBoosting
from tests.unit.ml.small_samples import TEST, TRAIN, TUNE, auc
from warehouse.errors import SettingError

BOOSTING = GradientBoosting(max_trees=60, learning_rate=0.1, max_depth=3, min_child_weight=5, patience=10)


def test_trees_see_the_curve_that_a_line_cannot() -> None:
    trees = BOOSTING.fit(TRAIN, TUNE, (0, 0, 0))
    line = LogisticRegression().fit(TRAIN, TUNE, (0, 0, 0))

    assert auc(trees, TEST) > auc(line, TEST) + 0.05


def test_the_same_rows_and_settings_give_the_same_bytes_on_any_number_of_threads() -> None:
    """A model is named by its training set and settings; a second core must not make another of it."""
    models = [
        GradientBoosting(max_trees=60, learning_rate=0.1, patience=10, threads=threads).fit(TRAIN, TUNE, (0, 0, 0))
        for threads in (1, 2, 1)
    ]

    assert len({model.to_bytes() for model in models}) == 1


def test_another_seed_gives_another_model() -> None:
    """Else the test above could not fail."""
    models = [GradientBoosting(max_trees=20, seed=seed).fit(TRAIN, TUNE, (0, 0, 0)) for seed in (1, 2)]

    assert models[0].to_bytes() != models[1].to_bytes()


def test_boosting_stops_where_tune_rows_stop_gaining() -> None:
    """Of 400 trees at this rate most only memorise train rows; those after the best must be gone from the model."""
    trees = GradientBoosting(max_trees=400, learning_rate=0.3, max_depth=5, patience=5).fit(TRAIN, TUNE, (0, 0, 0))

    assert trees.booster.num_boosted_rounds() < 100


def test_trees_that_find_nothing_to_split_have_no_importance() -> None:
    """All rows alike: a booster of bare leaves must still be described."""
    flat = Sample(np.zeros((200, 2), dtype=np.float32), np.arange(200) % 4 == 0)

    trees = BOOSTING.fit(flat, flat, (0, 0))

    assert trees.importance(2).tolist() == [0.0, 0.0]
    assert trees.raw_scores(flat.matrix) == pytest.approx(np.log(0.25 / 0.75), abs=1e-2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_depth": 0}, "max_depth must be at least 1: found 0"),
        ({"learning_rate": 0.0}, r"learning_rate must be within \(0, 1\]: found 0.0"),
        ({"row_share": 1.5}, r"row_share must be within \(0, 1\]: found 1.5"),
    ],
)
def test_settings_that_cannot_train_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        GradientBoosting(**settings)  # type: ignore[arg-type]


def _few_defaults(seed: int, *, n: int = 1181, n_defaults: int = 49) -> Sample:
    """As many loans and defaults as a young lender has; the riskiest by two of three columns default."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(n, 3)).astype(np.float32)
    risk = matrix[:, 0] + 0.5 * matrix[:, 1] + random.gumbel(size=n)
    return Sample(matrix, risk >= np.sort(risk)[-n_defaults])


@pytest.mark.parametrize("seed", range(4))
def test_few_defaults_are_enough_to_learn_from(seed: int) -> None:
    """A leaf needed 20 of 49 defaults: no tree was split, and every applicant had the same score."""
    train, tune = _few_defaults(seed), _few_defaults(100 + seed, n=500, n_defaults=20)

    trees = GradientBoosting().fit(train, tune, (0, 0, 0))

    assert auc(trees, _few_defaults(200 + seed, n=3000, n_defaults=300)) > 0.70


@pytest.mark.parametrize(("n_defaults", "least"), [(64, 20.0), (2500, 20.0), (48, 11.25), (32, 5.0), (1, 1.0)])
def test_a_leaf_needs_a_share_of_few_defaults_and_what_is_set_of_many(n_defaults: int, least: float) -> None:
    assert GradientBoosting().least_leaf(n_defaults) == pytest.approx(least)
    assert GradientBoosting(min_child_weight=5).least_leaf(n_defaults) == pytest.approx(max(least / 4, 1))
