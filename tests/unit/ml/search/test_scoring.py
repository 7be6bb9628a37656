"""A fold is fitted and measured as a training would be."""

from dataclasses import replace

import numpy as np

from ml.families.linear.logistic import LogisticRegression
from ml.folds.rows import FoldRows
from ml.search.scoring import permuted_importance, score_fold
from tests.model_factory import CONTRACT, SETTINGS
from tests.unit.ml.small_training_set import small_training_set

LINE = replace(SETTINGS, model=LogisticRegression(), refit=False, half_life_months=None)
ROWS = FoldRows.read(small_training_set(1500), CONTRACT)


def test_features_left_out_are_as_if_the_contract_lacked_them() -> None:
    left_out = ("purpose", "term_months")
    without = FoldRows.read(small_training_set(1500), CONTRACT, exclude=left_out)
    fold = ROWS.plan.folds[-1]

    scored = score_fold(ROWS, fold, replace(LINE, exclude=left_out))

    assert scored.log_loss == score_fold(without, fold, LINE).log_loss
    assert scored.log_loss != score_fold(ROWS, fold, LINE).log_loss


def test_refit_and_weights_of_the_settings_shape_a_fold_s_model() -> None:
    fold = ROWS.plan.folds[-1]

    losses = {
        score_fold(ROWS, fold, settings).log_loss
        for settings in (LINE, replace(LINE, refit=True), replace(LINE, half_life_months=3.0))
    }

    assert len(losses) == 3


def test_shuffling_what_decides_costs_more_than_shuffling_noise() -> None:
    _, costs = permuted_importance(ROWS, ROWS.plan.folds[-1], LINE)

    of = dict(zip(ROWS.features, costs, strict=True))
    assert of["max_months_past_due_6m"] > 0.005 > abs(of["requested_amount"])


def test_many_rows_are_searched_on_some_spread_over_all() -> None:
    rows = FoldRows.read(small_training_set(4000), CONTRACT, most_rows=1000)

    assert (len(rows.defaulted), rows.n_of) == (1000, 3200)
    assert rows.decided_at.min() == np.datetime64("2020-01-15")
    assert rows.decided_at.max() == np.datetime64("2021-04-15")
