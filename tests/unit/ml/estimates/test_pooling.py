"""Small months are judged with those before them, without more false alarms than a month alone has."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from ml.estimates.pooling import pooled_months
from ml.monitoring.limits import EstimateRule

RULE = EstimateRule()
#: Mean and spread of served probabilities, and of the reference's, whose number is far above a month's.
MEAN, SPREAD, N_REFERENCE = 0.12, 0.09, 20_000


@pytest.mark.parametrize(
    ("sizes", "n_pooled"),
    [
        ([570, 570, 570, 570], 3),
        ([100, 100, 100], 3),
        ([99, 99, 99], 1),
        ([570, 570, 20], 1),
        ([2_000, 2_000], 1),
        ([800, 800], 2),
    ],
)
def test_as_many_months_are_judged_together_as_reach_the_number(sizes: list[int], n_pooled: int) -> None:
    months = [(date(2025, number, 1), size) for number, size in enumerate(sizes, start=1)]

    assert len(pooled_months(months, RULE)) == n_pooled


def alarms(shifts: list[float], *, rule: EstimateRule, n: int = 570, n_draws: int = 4_000) -> tuple[float, float]:
    """Shares of draws in which the last month is an alarm: alone as if it were not pooled, and by the rule."""
    generator = np.random.default_rng(3)
    reference = MEAN + generator.normal(0, SPREAD / N_REFERENCE**0.5, n_draws)
    means = MEAN + np.array(shifts) + generator.normal(0, SPREAD / n**0.5, (n_draws, len(shifts)))
    errors = [float(np.hypot(SPREAD / size**0.5, SPREAD / N_REFERENCE**0.5)) for size in (n, n * len(shifts))]
    looks = rule.standard_errors_alone, rule.standard_errors_pooled
    alone, by_rule = [], []
    for expected, of_months in zip(reference, means, strict=True):
        rates = float(of_months[-1]), float(of_months.mean())
        alone.append(rule.judge_default_rate(rates[0], expected=expected, standard_error=errors[0]).is_alarm)
        by_rule.append(
            any(
                rule.judge_default_rate(rate, expected=expected, standard_error=error, n_errors=n_errors).is_alarm
                for rate, error, n_errors in zip(rates, errors, looks, strict=True)
            )
        )
    return float(np.mean(alone)), float(np.mean(by_rule))


def test_quiet_months_raise_no_more_than_the_nominal_share_of_alarms() -> None:
    """1 in 40, without the margin that lowers it further; 0.032 is four standard errors of 4,000 draws above."""
    alone, by_rule = alarms([0.0, 0.0, 0.0], rule=replace(RULE, min_rate_rise=1.0))

    assert alone == pytest.approx(0.025, abs=0.01)
    assert by_rule <= 0.032


def test_a_rise_that_stays_raises_an_alarm_in_more_of_its_months_and_hardly_fewer_of_its_first() -> None:
    first = alarms([0.0, 0.0, 0.007], rule=RULE)
    third = alarms([0.007, 0.007, 0.007], rule=RULE)

    assert third[1] > third[0] + 0.1
    assert first[1] > first[0] - 0.05
