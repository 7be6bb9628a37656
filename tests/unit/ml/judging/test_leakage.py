"""Planted leaks of each kind, and honest features beside them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml.judging.leakage import FeatureSignal, feature_signals
from ml.training.training_set import TrainingSet
from tests.model_factory import CONTRACT
from tests.unit.ml.small_training_set import small_training_set

TRAINING_SET = small_training_set(3000)


def _signal(training_set: TrainingSet, feature: str) -> FeatureSignal:
    return next(signal for signal in feature_signals(training_set, CONTRACT) if signal.feature == feature)


def _planted(feature: str, values: object) -> FeatureSignal:
    planted = replace(TRAINING_SET, frame=TRAINING_SET.frame.assign(**{feature: values}))
    return _signal(planted, feature)


DEFAULTED = TRAINING_SET.frame["is_default"].to_numpy()
NOISE = np.random.default_rng(9).random(len(DEFAULTED))


def test_honest_features_signal_little() -> None:
    for signal in feature_signals(TRAINING_SET, CONTRACT):
        assert signal.auc < 0.75
        assert signal.missing_auc < 0.55
        assert signal.isolated < 0.05


@pytest.mark.parametrize("sign", [1, -1])
def test_a_value_that_ranks_the_outcome_is_seen_in_either_direction(sign: int) -> None:
    """Payments received since are high for good loans: the leak ranks backwards."""
    signal = _planted("requested_amount", sign * (DEFAULTED * 0.5 + NOISE))

    assert signal.auc == pytest.approx(0.875, abs=0.02)


def test_a_field_filled_in_only_after_a_default_is_seen_by_its_absence() -> None:
    """A collection fee: of the loans that repaid it is always missing, and where present it is constant."""
    signal = _planted("requested_amount", np.where(DEFAULTED, 1.0, np.nan))

    assert signal.missing_auc == 1.0
    assert signal.auc == 0.5


def test_an_amount_recovered_is_seen_though_it_ranks_little() -> None:
    """Three in ten defaults have one, no other loan has: AUC only 0.65, but every one of them defaulted."""
    signal = _planted("requested_amount", np.where(DEFAULTED & (NOISE < 0.3), 1000 * NOISE, 0.0))

    assert signal.auc == pytest.approx(0.65, abs=0.02)
    assert signal.isolated == pytest.approx(0.3, abs=0.03)


def test_absence_that_only_defaults_have_is_seen() -> None:
    signal = _planted("requested_amount", np.where(DEFAULTED & (NOISE < 0.4), np.nan, NOISE))

    assert signal.isolated == pytest.approx(0.4, abs=0.03)


def test_a_category_that_only_defaults_have_is_seen() -> None:
    planted = np.where(DEFAULTED & (NOISE < 0.5), "other", "car")
    of_train = (TRAINING_SET.frame["split"] == "train").to_numpy()

    share = (planted[of_train] == "other").sum() / DEFAULTED[of_train].sum()
    assert _planted("purpose", pd.Categorical(planted)).isolated == pytest.approx(share)


def test_a_column_without_a_value_signals_nothing() -> None:
    assert _planted("requested_amount", np.nan) == FeatureSignal("requested_amount", 0.5, 0.5, 0.0)


def test_every_feature_is_judged_also_those_the_model_leaves_out() -> None:
    assert [signal.feature for signal in feature_signals(TRAINING_SET, CONTRACT)] == list(CONTRACT.feature_names)
