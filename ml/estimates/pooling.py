"""Judge small months together with those before them: the default rate that ``cbpe`` expects of all their decisions."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ml.estimates.estimate import LEVEL, Estimator
from ml.estimates.grades import POOLED_DEFAULT_RATE, PerformanceEstimate
from ml.monitoring.limits import EstimateRule

Floats = NDArray[np.float64]


def pooled_months(months: Sequence[tuple[date, int]], rule: EstimateRule) -> Sequence[date]:
    """Those of ``months``, each with its number of decisions, that are judged with the last; only it if it is enough.

    A month without decisions ends what is pooled: applicants of long ago say nothing about now.

    >>> few = [(date(2025, month, 1), 500) for month in (1, 3, 4)]
    >>> [f"{month:%m}" for month in pooled_months(few, EstimateRule())]
    ['03', '04']
    """
    last = months[-1][0]
    ages = [12 * (last.year - month.year) + last.month - month.month for month, _ in months]
    consecutive = [each for place, each in enumerate(months) if ages[place] == len(months) - 1 - place]
    n = rule.n_pooled([n_decisions for _, n_decisions in consecutive])
    return [month for month, _ in consecutive[-n:]]


def estimate_pooled(
    estimator: Estimator, probability: Floats, *, month: date, role: str, horizon_months: int, n_errors: float
) -> PerformanceEstimate:
    """The row of a month that is judged with those before it; ``probability``: served, of all their decisions.

    ``n_errors``: as in :meth:`EstimateRule.judge_default_rate`.
    """
    found = estimator.unweighted
    interval = estimator.estimate(found, probability)["default_rate"]
    expected, standard_error = estimator.rate_of_applicants(probability)
    verdict = EstimateRule().judge_default_rate(
        interval.estimated, expected=expected, standard_error=standard_error, n_errors=n_errors
    )
    return PerformanceEstimate(
        month=month,
        role=role,
        metric=POOLED_DEFAULT_RATE,
        method="cbpe",
        n_decisions=len(probability),
        n_reference=found.n_effective,
        **interval._asdict(),
        level=LEVEL,
        reference_value=expected,
        horizon_months=horizon_months,
        **verdict._asdict(),
    )
