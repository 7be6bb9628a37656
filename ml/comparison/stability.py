"""How a model's ranking holds over the months of the test: mean, trend and scatter of its monthly Gini.

The stability score is that of the competition "Home Credit - Credit Risk Model Stability" (Kaggle, 2024): mean Gini,
plus 88 times the slope if it falls, minus half the standard deviation around the fitted line. There the Gini is by
week; a test has too few defaults in a week, so the months are fitted and their slope is turned into one by week.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np

#: Of the competition.
FALLING_WEIGHT, SCATTER_WEIGHT = 88.0, 0.5
WEEKS_A_MONTH = 365.2425 / 12 / 7
#: Two points always lie on a line.
_FEWEST_MONTHS = 3


@dataclass(frozen=True)
class GiniTrend:
    """A line through the monthly Ginis, each month with one weight.

    ``n_months``: months whose loans have both outcomes. ``slope``: per month, with its 95 % interval. ``stability``:
    see the module. Without months, or with fewer than three for the line, the figures are None.
    """

    n_months: int
    mean: float | None = None
    slope: float | None = None
    slope_low: float | None = None
    slope_high: float | None = None
    stability: float | None = None


def gini_trend(ginis: Mapping[str, float]) -> GiniTrend:
    """Fit the Ginis by month ("2011-07" → 0.41); a month without a Gini (nan) is left out and leaves a gap.

    >>> round(gini_trend({"2011-11": 0.40, "2011-12": 0.42, "2012-01": 0.44}).stability, 12)
    0.42
    """
    from scipy.stats import t

    known = {month: gini for month, gini in ginis.items() if not isnan(gini)}
    values = np.array(list(known.values()))
    if len(known) < _FEWEST_MONTHS:
        return GiniTrend(len(known), float(values.mean()) if known else None)
    months = np.array(list(known), dtype="datetime64[M]").astype(np.int64)
    from_middle = months - months.mean()
    mean, slope = float(values.mean()), float(from_middle @ values / (from_middle @ from_middle))
    residuals = values - mean - slope * from_middle
    freedom = len(known) - 2
    error = float(np.sqrt(residuals @ residuals / freedom / (from_middle @ from_middle)))
    half = float(t.ppf(0.975, freedom)) * error
    stability = mean + FALLING_WEIGHT * min(0.0, slope / WEEKS_A_MONTH) - SCATTER_WEIGHT * float(residuals.std())
    return GiniTrend(len(known), mean, slope, slope - half, slope + half, stability)
