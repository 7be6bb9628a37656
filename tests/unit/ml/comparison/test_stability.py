"""The trend of monthly Ginis, with numbers computed by hand."""

from math import sqrt

import pytest

from ml.comparison.stability import WEEKS_A_MONTH, gini_trend

NAN = float("nan")


def test_a_rising_gini_gains_nothing() -> None:
    """A line through .40, .42, .44: slope .02 a month, no scatter."""
    trend = gini_trend({"2011-11": 0.40, "2011-12": 0.42, "2012-01": 0.44})

    assert (trend.n_months, trend.mean, trend.slope) == (3, pytest.approx(0.42), pytest.approx(0.02))
    assert trend.stability == pytest.approx(0.42)


def test_a_falling_gini_costs_88_times_its_slope_by_week() -> None:
    trend = gini_trend({"2011-01": 0.44, "2011-02": 0.42, "2011-03": 0.40})

    assert trend.stability == pytest.approx(0.42 - 88 * 0.02 / WEEKS_A_MONTH)


def test_scatter_costs_half_its_standard_deviation() -> None:
    """.4, .5, .4 around a flat line at 13/30: residuals −1/30, 2/30, −1/30."""
    trend = gini_trend({"2011-01": 0.4, "2011-02": 0.5, "2011-03": 0.4})

    assert trend.slope == pytest.approx(0)
    assert trend.stability == pytest.approx(1.3 / 3 - 0.5 * sqrt(6 / 900 / 3))
    # the slope's standard error: sqrt(6/900 / 1) / sqrt(2); t of one degree of freedom: 12.706
    assert trend.slope_high == pytest.approx(12.7062 * sqrt(6 / 900) / sqrt(2), rel=1e-4)
    assert trend.slope_low == pytest.approx(-12.7062 * sqrt(6 / 900) / sqrt(2), rel=1e-4)


def test_a_model_that_ranks_nothing_has_a_flat_line() -> None:
    trend = gini_trend({"2011-01": 0.0, "2011-02": 0.0, "2011-03": 0.0})

    assert (trend.slope, trend.slope_low, trend.slope_high, trend.stability) == (0, 0, 0, 0)


def test_a_month_that_cannot_be_measured_leaves_a_gap() -> None:
    """Months count by the calendar: .4, –, .5, .55 rises by .05 a month."""
    trend = gini_trend({"2011-01": 0.4, "2011-02": NAN, "2011-03": 0.5, "2011-04": 0.55})

    assert (trend.n_months, trend.slope) == (3, pytest.approx(0.05))


@pytest.mark.parametrize(
    ("ginis", "n_months", "mean"),
    [({}, 0, None), ({"2005-10": NAN}, 0, None), ({"2011-01": 0.4, "2011-02": 0.5}, 2, 0.45)],
    ids=["none", "not measurable", "two"],
)
def test_too_few_months_have_no_line(ginis: dict[str, float], n_months: int, mean: float | None) -> None:
    trend = gini_trend(ginis)

    assert trend.n_months == n_months
    assert trend.mean == (None if mean is None else pytest.approx(mean))
    assert (trend.slope, trend.slope_low, trend.stability) == (None, None, None)
