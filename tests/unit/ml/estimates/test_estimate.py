"""Estimates against populations whose truth is known."""

import numpy as np
import pytest

from ml.estimates.density_ratio import density_ratio
from ml.estimates.early_defaults import ObservedLoans, expected_defaults
from ml.estimates.estimate import Estimator, LabelledReference
from ml.estimates.recalibration import Lines, Recalibrator, log_odds

_RNG = np.random.default_rng(11)


def _loans(n: int, *, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two features; the model sees the first alone, so that its calibration depends on the second."""
    seen, hidden = _RNG.normal(size=n), _RNG.normal(shift, 1, n)
    chance = 1 / (1 + np.exp(2 - seen - 0.8 * hidden))
    return np.column_stack([seen, hidden]).astype(np.float32), 1 / (1 + np.exp(1.85 - 0.87 * seen)), chance


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    matrix, served, chance = _loans(4_000)
    return Estimator(LabelledReference(matrix, served, _RNG.uniform(size=len(chance)) < chance, served), cut_off=0.2)


def test_a_wrong_level_is_recalibrated() -> None:
    """Served at half the odds: the line's intercept is log 2, within three of its standard errors of 0.03."""
    chance = np.random.default_rng(1).uniform(0.05, 0.5, 20_000)
    served = chance / (2 - chance)
    defaulted = np.random.default_rng(2).uniform(size=20_000) < chance

    line, drawn = Recalibrator(served, defaulted).fit()

    assert line.chances(served)[0].mean() == pytest.approx(defaulted.mean(), abs=1e-3)
    assert line.slope[0] == pytest.approx(1, abs=0.06)
    assert drawn.slope.std() == pytest.approx(0.024, abs=0.01)


def test_intervals_hold_nineteen_of_twenty_months(estimator: Estimator) -> None:
    missed = {"auc": 0, "default_rate": 0, "brier": 0, "ks": 0}
    for _ in range(60):
        matrix, served, chance = _loans(800)
        estimated = estimator.estimate(estimator.recalibrate("cbpe", matrix), served)
        defaulted = _RNG.uniform(size=800) < chance
        truth = estimator.truth(served, defaulted)
        for metric in missed:
            missed[metric] += not estimated[metric].low <= truth[metric] <= estimated[metric].high

    # 60 months miss 3 on average; 9 or more in 0.3 %
    assert max(missed.values()) < 9


def test_a_shift_that_the_score_does_not_see_is_seen_by_weights(estimator: Estimator) -> None:
    matrix, served, chance = _loans(2_000, shift=0.7)

    cbpe, pape = (
        estimator.estimate(estimator.recalibrate(method, matrix), served)["default_rate"] for method in ("cbpe", "pape")
    )

    assert cbpe.high < chance.mean()
    assert pape.low < chance.mean() < pape.high
    assert abs(pape.estimated - chance.mean()) < abs(cbpe.estimated - chance.mean()) / 3


def test_equal_populations_have_nearly_equal_weights() -> None:
    reference, month = (np.random.default_rng(seed).normal(size=(1_500, 4)).astype(np.float32) for seed in (1, 2))

    assert density_ratio(reference, month).n_effective > 0.8 * 1_500


def test_expected_defaults_by_hand() -> None:
    """Ten loans of chance 0.2 observed for half the window, in which 3 of 4 mature defaults had happened: 1.5."""
    loans = ObservedLoans(np.full(10, 0.2), np.full(10, 0.5), np.zeros(10, dtype=np.bool_))
    same = Lines(np.ones(1), np.zeros(1))

    found = expected_defaults(loans, np.array([0.1, 0.2, 0.5, 0.9]), same, Lines(np.ones(200), np.zeros(200)))

    assert found.estimated == pytest.approx(1.5)
    # P(Poisson(1.5) <= 4) = 0.981, P(<= 3) = 0.934
    assert (found.low, found.high) == (0, 4)


def test_log_odds_are_finite() -> None:
    assert np.isfinite(log_odds([0.0, 1.0])).all()
