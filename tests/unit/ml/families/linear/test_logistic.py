"""The line on small made-up risks: missing values, outliers, and the numbers of a well-known library."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ml.families.linear.logistic import LinearModel, LogisticRegression
from ml.families.protocol import Sample
from tests.unit.ml.small_samples import TEST, TRAIN, TUNE, auc
from warehouse.errors import SettingError

FREE = (0, 0, 0)


def test_it_is_the_ridge_regression_that_scikit_learn_fits() -> None:
    """Where no value is missing or cut and no direction is given."""
    rows = TRAIN.matrix.astype(np.float64)
    theirs = make_pipeline(StandardScaler(), SklearnLogisticRegression(C=0.1, max_iter=2000, tol=1e-10))
    theirs.fit(rows, TRAIN.defaulted)

    ours = LogisticRegression(l2=10, cut=0).fit(TRAIN, TUNE, FREE)

    np.testing.assert_allclose(ours.raw_scores(TRAIN.matrix), theirs.decision_function(rows), atol=1e-6)


def test_a_column_that_train_never_filled_counts_for_nothing() -> None:
    """A source without bureau data has whole columns missing; a later row may have a value there."""
    empty = Sample(TRAIN.matrix.copy(), TRAIN.defaulted)
    empty.matrix[:, 2] = np.nan

    model = LogisticRegression().fit(empty, TUNE, FREE)

    without = TEST.matrix.copy()
    without[:, 2] = np.nan
    assert auc(model, TEST) > 0.6
    assert model.raw_scores(TEST.matrix).tobytes() == model.raw_scores(without).tobytes()


def test_absence_itself_is_a_signal() -> None:
    """Whoever withholds the income defaults more often; a median in its place would hide that."""
    random = np.random.default_rng(6)
    defaulted = random.random(2000) < 0.3
    values = random.normal(size=2000)
    values[defaulted & (random.random(2000) < 0.7)] = np.nan
    sample = Sample(values[:, None].astype(np.float32), defaulted)

    assert auc(LogisticRegression().fit(sample, sample, (0,)), sample) > 0.8


def test_absence_is_free_of_the_direction_of_the_value() -> None:
    """A low value is safe, and a missing one is not: a direction must not make absence safe too."""
    random = np.random.default_rng(7)
    values = random.normal(size=4000)
    defaulted = random.random(4000) < 1 / (1 + np.exp(2 - values))
    hidden = random.random(4000) < 0.2
    defaulted[hidden] = random.random(hidden.sum()) < 0.6
    values[hidden] = np.nan
    sample = Sample(values[:, None].astype(np.float32), defaulted)

    model = LogisticRegression().fit(sample, sample, (1,))

    low, high, missing = model.raw_scores(np.array([[-1.0], [1.0], [np.nan]], dtype=np.float32))
    assert low < high < missing


def test_values_beyond_those_of_the_train_rows_count_as_their_ends() -> None:
    """One income of ten millions would otherwise be the safest applicant of all."""
    model = LogisticRegression(cut=0.001).fit(TRAIN, TUNE, FREE)
    ends = np.quantile(TRAIN.matrix[:, 0].astype(np.float64), [0.001, 0.999])
    rows = np.zeros((4, 3), dtype=np.float32)
    rows[:, 0] = [-1e6, ends[0] - 0.01, ends[1] + 0.01, 1e30]

    lowest, low, high, highest = model.raw_scores(rows)

    assert lowest == low < high == highest


def test_rows_that_say_nothing_leave_the_base_rate() -> None:
    flat = Sample(np.zeros((200, 2), dtype=np.float32), np.arange(200) % 4 == 0)

    model = LogisticRegression().fit(flat, flat, (0, 0))

    assert model.importance(2).tolist() == [0.0, 0.0]
    assert model.raw_scores(flat.matrix) == pytest.approx(np.log(0.25 / 0.75), abs=1e-6)


def test_a_contribution_is_the_slope_times_the_distance_from_the_mean() -> None:
    """By hand: 2 · 3 − 2 of the first; −1 · 4 − (−2) of the second, whose 5 is cut to 4; .5 − .1 of the missing one."""
    model = LinearModel(
        intercept=-1.0,
        slope=(2.0, -1.0, 4.0),
        low=(-10.0, 0.0, -1.0),
        high=(10.0, 4.0, 1.0),
        at_missing=(0.0, 0.0, 0.5),
        mean=(2.0, -2.0, 0.1),
        spread=(1.0, 1.0, 0.0),
    )
    row = np.array([3.0, 5.0, np.nan], dtype=np.float32)

    assert model.contributions(row) == pytest.approx([4.0, -2.0, 0.4])
    assert model.expected == pytest.approx(-0.9)
    assert model.raw_scores(row.reshape(1, -1)).tolist() == [1.5]


def test_contributions_start_from_the_mean_score_of_the_train_rows() -> None:
    model = LogisticRegression().fit(TRAIN, TUNE, FREE)

    assert model.expected == pytest.approx(model.raw_scores(TRAIN.matrix).astype(np.float64).mean(), abs=1e-6)


def test_the_file_is_readable_and_keeps_every_bit(tmp_path: Path) -> None:
    model = LogisticRegression().fit(TRAIN, TUNE, FREE)

    model.write(tmp_path, ("income", "purpose=car", "noise"))

    assert json.loads((tmp_path / "coefficients.json").read_text())["slope"] == list(model.slope)
    assert LinearModel.read(tmp_path) == model


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"l2": 0.0}, "l2 must be above 0: found 0.0"), ({"cut": 0.5}, "cut must be at least 0 and below 0.5: found 0.5")],
)
def test_settings_that_cannot_train_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        LogisticRegression(**settings)
