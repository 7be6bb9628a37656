"""When an interval counts as missed, and when its estimator is no longer trusted."""

from dataclasses import replace
from datetime import date

import pytest

from ml.estimates.grades import DEFAULTS_SO_FAR, EXPOSURE, PerformanceEstimate, grade
from ml.monitoring.limits import EstimateRule

ROW = PerformanceEstimate(
    month=date(2024, 1, 1), role="champion", metric="auc", method="cbpe", n_decisions=900, n_reference=900,
    estimated=0.7, low=0.65, high=0.75, level=0.95, reference_value=0.7, horizon_months=1,
    n_mature=900, estimated_mature=0.7, low_mature=0.65, high_mature=0.75,
)  # fmt: skip


def _months(truths: list[float | None]) -> list[PerformanceEstimate]:
    return grade(
        replace(ROW, month=date(2024, 1 + number, 1), horizon_months=1 + number, true_value=truth)
        for number, truth in enumerate(truths)
    )


def test_two_misses_of_two_months_end_trust_in_later_months() -> None:
    """P(2 of 2 missed) = 0.05² = 0.0025; one of one is 0.05, which is not rarer than 1 in 20."""
    rows = _months([0.6, 0.6, None])

    assert [row.is_covered for row in rows] == [False, False, None]
    assert [(row.n_graded, row.n_missed, row.is_trusted) for row in rows] == [(0, 0, True), (1, 1, True), (2, 2, False)]


def test_covered_months_keep_trust() -> None:
    rows = _months([0.7, 0.6, 0.65, 0.75])

    assert [row.is_covered for row in rows] == [True, False, True, True]
    assert (rows[-1].n_graded, rows[-1].n_missed, rows[-1].is_trusted) == (3, 1, True)


def test_months_of_earlier_champions_count_once_each() -> None:
    """A version's own grade takes the place of the one before it, for the same month."""
    rows = [
        replace(ROW, month=date(2024, month, 1), true_value=truth) for month, truth in [(1, 0.7), (2, None), (3, None)]
    ]
    earlier = {("auc", "cbpe"): {date(2023, 12, 1): False, date(2024, 1, 1): False, date(2024, 2, 1): False}}

    graded = grade(rows, earlier)

    assert [row.is_covered for row in graded] == [True, None, None]
    assert [(row.n_graded, row.n_missed, row.is_trusted) for row in graded] == [
        (1, 1, True),
        (2, 1, True),
        (3, 2, False),
    ]


def test_reference_months_and_defaults_so_far_grade_nothing() -> None:
    """A reference month's outcomes made the estimate; a number of defaults speaks of risk."""
    reference = replace(ROW, horizon_months=0, true_value=0.6)
    so_far = replace(ROW, metric=DEFAULTS_SO_FAR, method=EXPOSURE, true_value=0.6)

    assert [row.is_covered for row in grade([reference, so_far])] == [None, None]


@pytest.mark.parametrize(
    ("rate", "is_alarm", "is_severe"), [(0.129, False, False), (0.131, True, False), (0.2, True, True)]
)
def test_a_rate_is_an_alarm_beyond_noise_and_margin(rate: float, is_alarm: bool, is_severe: bool) -> None:
    """0.12 + 1.96 · 0.005 = 0.1298, above 0.12 · 1.05 = 0.126; severe from 0.18."""
    verdict = EstimateRule().judge_default_rate(rate, expected=0.12, standard_error=0.005)

    assert verdict.estimated_limit == pytest.approx(0.1298)
    assert (verdict.is_alarm, verdict.is_severe) == (is_alarm, is_severe)


def test_a_rate_that_is_judged_twice_has_a_wider_limit() -> None:
    """0.12 + 2.576 · 0.005 = 0.13288."""
    rule = EstimateRule()

    verdict = rule.judge_default_rate(0.131, expected=0.12, standard_error=0.005, n_errors=rule.standard_errors_pooled)

    assert (round(verdict.estimated_limit or 0, 5), verdict.is_alarm) == (0.13288, False)


def test_defaults_so_far_are_judged_by_the_interval_of_their_number() -> None:
    judge = EstimateRule().judge_defaults_so_far

    assert judge(24, expected=15.6, high=24).is_alarm is False
    assert judge(28, expected=15.6, high=24)[1:] == (True, True)
