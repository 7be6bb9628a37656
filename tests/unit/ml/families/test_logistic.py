"""The baseline on small made-up risks."""

import numpy as np

from ml.families.logistic import LogisticRegression
from ml.families.protocol import Sample
from tests.unit.ml.small_samples import TEST, TRAIN, TUNE, auc, small_sample


def test_the_baseline_reads_missing_values_also_where_train_had_none() -> None:
    holes = small_sample(500, seed=4, missing=0.3)

    assert np.isfinite(LogisticRegression().fit(TRAIN, TUNE, (0, 0, 0)).raw_scores(holes.matrix)).all()


def test_the_baseline_takes_a_column_that_train_never_filled() -> None:
    """A source without bureau data has whole columns missing."""
    empty = Sample(TRAIN.matrix.copy(), TRAIN.defaulted)
    empty.matrix[:, 2] = np.nan

    model = LogisticRegression().fit(empty, TUNE, (0, 0, 0))

    assert auc(model, TEST) > 0.6


def test_absence_itself_is_a_signal_to_the_baseline() -> None:
    """Whoever withholds the income defaults more often; a median in its place would hide that."""
    random = np.random.default_rng(6)
    defaulted = random.random(2000) < 0.3
    values = random.normal(size=2000)
    values[defaulted & (random.random(2000) < 0.7)] = np.nan
    sample = Sample(values[:, None].astype(np.float32), defaulted)

    assert auc(LogisticRegression().fit(sample, sample, (0,)), sample) > 0.8
