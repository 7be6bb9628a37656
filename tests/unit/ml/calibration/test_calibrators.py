"""Calibrators against hand computation, against known truth, and one value against many by property."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ml.calibration.calibrators import (
    Calibrator,
    IsotonicCalibrator,
    LogOddsCalibrator,
    Method,
    calibrator_from_dict,
    choose_method,
    fit_calibrator,
)
from warehouse.errors import BundleError, SettingError

METHODS: tuple[Method, ...] = ("platt", "beta", "isotonic")


def _sample(n: int, *, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raw scores, outcomes, and the true probabilities, of which raw is a distortion: half the log-odds, less 1."""
    random = np.random.default_rng(seed)
    true_log_odds = random.normal(-1.5, 1.2, n)
    raw = 1 / (1 + np.exp(-(true_log_odds / 2 - 1)))
    true = 1 / (1 + np.exp(-true_log_odds))
    return raw, random.random(n) < true, true


_FITTED: dict[Method, Calibrator] = {method: fit_calibrator(*_sample(3000)[:2], method=method) for method in METHODS}


def test_beta_weighs_the_two_tails_apart() -> None:
    """By hand: 2·ln 0.5 − 1·ln 0.5 + ln 4 = ln 2, odds of 2."""
    calibrator = LogOddsCalibrator("beta", a=2.0, b=1.0, c=math.log(4))

    assert calibrator.apply_one(0.5) == pytest.approx(2 / 3, abs=1e-12)


@pytest.mark.parametrize("raw", [0.0, 1.0])
def test_certainty_of_the_model_does_not_become_certainty(raw: float) -> None:
    assert 0 < LogOddsCalibrator("platt", a=1.0, b=1.0, c=0.0).apply_one(raw) < 1


def test_platt_finds_the_distortion_again() -> None:
    """Raw log-odds are half the true ones less 1, so the truth is 2·raw + 2."""
    raw, defaulted, _ = _sample(200_000)

    fitted = fit_calibrator(raw, defaulted, method="platt")

    assert isinstance(fitted, LogOddsCalibrator)
    assert (fitted.a, fitted.b, fitted.c) == pytest.approx((2.0, 2.0, 2.0), abs=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_calibrated_probabilities_are_the_true_ones(method: Method) -> None:
    raw, defaulted, true = _sample(50_000)

    calibrated = fit_calibrator(raw, defaulted, method=method).apply(raw)

    assert np.abs(raw - true).mean() > 0.08
    assert np.abs(calibrated - true).mean() < 0.012


@pytest.mark.parametrize("method", ["platt", "beta"])
def test_slopes_never_turn_the_order_around(method: Method) -> None:
    """Where tune rows happen to rank backwards, calibration goes flat rather than reward the riskier."""
    raw, defaulted, _ = _sample(500)

    fitted = fit_calibrator(1 - raw, defaulted, method=method)

    assert isinstance(fitted, LogOddsCalibrator)
    assert fitted.a >= 0
    assert fitted.b >= 0


@pytest.mark.parametrize("method", METHODS)
def test_perfectly_separated_scores_give_finite_probabilities(method: Method) -> None:
    fitted = fit_calibrator([0.1, 0.2, 0.8, 0.9], [False, False, True, True], method=method)

    assert np.isfinite(list(_numbers(fitted.to_dict()))).all()
    assert (fitted.apply([0.0, 1.0]) > 0).all()
    assert (fitted.apply([0.0, 1.0]) < 1).all()


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None)
@given(raw=hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 1, width=32)))
def test_one_value_gets_the_same_bits_as_among_many(method: Method, raw: np.ndarray) -> None:
    """Replay recomputes one decision at a time what a batch computed together."""
    together = _FITTED[method].apply(raw)

    assert [_FITTED[method].apply_one(float(value)) for value in raw] == together.tolist()


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None)
@given(raw=hnp.arrays(np.float32, st.integers(2, 40), elements=st.floats(0, 1, width=32)))
def test_a_higher_raw_score_never_gets_a_lower_probability(method: Method, raw: np.ndarray) -> None:
    assert (np.diff(_FITTED[method].apply(np.sort(raw))) >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_json_carries_the_whole_of_it(method: Method) -> None:
    fitted = _FITTED[method]

    assert calibrator_from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


def test_one_knot_is_a_constant() -> None:
    """Isotonic regression of scores that rank backwards pools them all."""
    assert IsotonicCalibrator(knots=(0.3,), values=(0.2,)).apply([0.1, 0.3, 0.9]).tolist() == [0.2, 0.2, 0.2]


def test_the_simplest_method_is_chosen_where_it_is_right() -> None:
    raw, defaulted, _ = _sample(5000)

    assert choose_method(raw, defaulted) == "platt"


def test_a_flexible_method_is_chosen_where_the_simple_ones_cannot_follow() -> None:
    """A step in the true risk that no line in the log-odds can draw."""
    random = np.random.default_rng(5)
    raw = random.random(5000)
    defaulted = random.random(5000) < np.where(raw < 0.5, 0.05, 0.40)

    assert choose_method(raw, defaulted) == "isotonic"


def test_too_few_defaults_to_cross_validate_leave_the_simplest() -> None:
    assert choose_method([0.1, 0.2, 0.3], [False, False, True]) == "platt"


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(SettingError, match="one of auto, platt, beta, isotonic: found 'spline'"):
        fit_calibrator([0.1, 0.2], [False, True], method="spline")  # type: ignore[arg-type]


def test_a_calibrator_of_a_later_version_is_refused() -> None:
    with pytest.raises(BundleError, match="found 'spline'"):
        calibrator_from_dict({"method": "spline"})


def _numbers(data: dict[str, object]) -> list[float]:
    values = [value if isinstance(value, list) else [value] for name, value in data.items() if name != "method"]
    return [float(number) for inner in values for number in inner]
