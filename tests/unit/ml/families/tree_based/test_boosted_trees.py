"""Boosted trees on small made-up risks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.families.linear.logistic import LogisticRegression
from ml.families.protocol import Sample, StreamedSample
from ml.families.tree_based.boosted_trees import BoostedTrees, GradientBoosting
from ml.families.tree_based.catboost import CatBoost, ObliviousTrees
from ml.training.imbalance import class_weights
from ml.trees.forest import Forest
from tests.unit.ml.small_samples import TEST, TRAIN, TUNE, auc, small_sample
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


@pytest.mark.parametrize("family", [GradientBoosting, CatBoost])
def test_balanced_rows_do_not_make_boosting_grow_longer(family: type[GradientBoosting | CatBoost]) -> None:
    """Judged at a level of half defaults, each tree that lowers the level would count as a gain."""
    rare = [small_sample(n, seed=seed) for seed, n in ((1, 4000), (2, 2000))]
    train, tune = (replace(rows, defaulted=rows.defaulted & (np.arange(len(rows.defaulted)) % 4 == 0)) for rows in rare)
    weighted = replace(
        train, weights=class_weights(train.defaulted, train.weights), natural_rate=float(train.defaulted.mean())
    )
    settings = family(max_trees=600, learning_rate=0.1, max_depth=3, patience=20)

    plain, judged, misjudged = (
        n_trees(settings.fit(rows, tune, (0, 0, 0))) for rows in (train, weighted, replace(weighted, natural_rate=None))
    )

    assert 0.6 * plain < judged < 1.4 * plain
    assert misjudged > 1.6 * plain


def n_trees(model: BoostedTrees | ObliviousTrees) -> int:
    return len(model.forest.trees) if isinstance(model, ObliviousTrees) else model.booster.num_boosted_rounds()


def test_columns_without_any_value_take_no_place_among_those_that_are_drawn(tmp_path: Path) -> None:
    """A third of three columns is one for each tree, whatever stands beside them; of six it would be two or none."""
    sparse = np.hstack([TRAIN.matrix, np.full((len(TRAIN.matrix), 3), np.nan, dtype=np.float32)])
    rows, tune = replace(TRAIN, matrix=sparse), replace(TUNE, matrix=np.pad(TUNE.matrix, ((0, 0), (0, 3))))
    settings = replace(BOOSTING, max_trees=20, column_share=0.34)

    trees = settings.fit(rows, tune, (0,) * 6)
    on_disk = StreamedSample(
        pd.DataFrame(sparse), lambda frame: frame.to_numpy(np.float32), TRAIN.defaulted, tmp_path, 700
    )

    tested = [set(tree.feature[tree.left >= 0].tolist()) for tree in Forest.from_booster(trees.booster).trees]
    assert {len(columns) for columns in tested} == {1}
    assert set().union(*tested) <= {0, 1, 2}
    assert on_disk.varying.tolist() == rows.varying.tolist() == [True, True, True, False, False, False]
    assert settings.fit(on_disk, tune, (0,) * 6).to_bytes() == trees.to_bytes()


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
