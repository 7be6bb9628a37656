"""Estimate the figures of a month's decisions, each with an interval, from labelled reference loans.

Two methods: ``cbpe`` recalibrates the served probabilities on the reference as it is, ``pape`` on the reference
weighted like the month's applicants (:mod:`ml.estimates.recalibration`). Neither sees a change of the risk of equal
applicants; :mod:`ml.estimates.early_defaults` does, once loans were observed for some time.

The interval holds the figure as it will be counted: each draw takes reference loans again (calibration error), and then
an outcome for each decision (sampling error). Its ends are quantiles of the draws.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml.estimates.density_ratio import density_ratio
from ml.estimates.expected import METRICS, Metric, figures, group_scores
from ml.estimates.recalibration import Lines, Recalibrator

Floats = NDArray[np.float64]
Method = Literal["cbpe", "pape"]
LEVEL = 0.95
#: Groups of scores in which outcomes are drawn: the cost of a draw does not depend on the number of decisions.
_MOST_GROUPS = 1_000


class Interval(NamedTuple):
    """An estimated figure and the ends of its interval; ``nan`` where the decisions do not define it."""

    estimated: float
    low: float
    high: float


@dataclass(frozen=True)
class LabelledReference:
    """Loans that the model did not learn from, with outcomes: encoded features, served probability, default.

    ``applicants``: served probabilities of all who applied in the same months. Where a label needs a loan's whole life,
    those with outcomes are the short loans: their default rate cannot be compared with that of a month of all loans.
    """

    matrix: NDArray[np.float32]
    probability: Floats
    defaulted: NDArray[np.bool_]
    applicants: Floats


@dataclass(frozen=True)
class Recalibrated:
    """A method's lines for one month: that of all reference loans, and those of the loans drawn again.

    ``n_effective``: number of reference loans, or how many of equal weight would say as much.
    """

    line: Lines
    drawn: Lines
    n_effective: float


class Estimator:
    """Estimates months of one model version; the reference is drawn again once for all months."""

    def __init__(self, reference: LabelledReference, *, cut_off: float, seed: int = 0) -> None:
        self.reference, self.cut_off, self._seed = reference, cut_off, seed
        self._recalibrator = Recalibrator(reference.probability, reference.defaulted, seed)
        self.unweighted = Recalibrated(*self._recalibrator.fit(), len(reference.probability))

    def recalibrate(self, method: Method, month: NDArray[np.float32]) -> Recalibrated:
        """The chances of default by a method; ``month``: encoded features of its decisions, or of a sample."""
        if method == "cbpe":
            return self.unweighted
        ratio = density_ratio(self.reference.matrix, month, seed=self._seed)
        return Recalibrated(*self._recalibrator.fit(ratio.weights), ratio.n_effective)

    def estimate(self, found: Recalibrated, probability: Floats) -> dict[Metric, Interval]:
        """Every figure of decisions with these served probabilities."""
        return estimate_figures(found.line, found.drawn, probability, cut_off=self.cut_off, seed=self._seed)

    def rate_of_applicants(self, probability: Floats) -> tuple[float, float]:
        """The default rate that ``cbpe`` expects of all applicants of the reference's months, and a standard error.

        The error is that of its difference from the rate of these decisions, as if both were drawn from one population;
        without that of the line, which is the same for both.
        """
        before, now = (self.unweighted.line.chances(each)[0] for each in (self.reference.applicants, probability))
        return float(before.mean()), float(np.sqrt(before.var() / len(before) + now.var() / len(now)))

    def truth(self, probability: Floats, defaulted: NDArray[np.bool_]) -> dict[Metric, float]:
        """Every figure of decisions with known outcomes, by the same formulas; ``nan`` where they are undefined."""
        groups = group_scores(probability, self.cut_off)
        return {metric: float(value) for metric, value in figures(groups.sums(defaulted), groups).items()}


def estimate_figures(
    line: Lines, drawn: Lines, probability: Floats, *, cut_off: float, seed: int = 0, level: float = LEVEL
) -> dict[Metric, Interval]:
    """Figures of decisions if their chances of default are those of ``line``, and intervals by the drawn lines.

    Closed forms but for KS: the maximum over counted loans is above the maximum of their expectations, so its estimate
    is the mean of the draws.
    """
    exact = group_scores(probability, cut_off)
    expected = figures(exact.sums(line.chances(probability)[0]), exact)
    coarse = group_scores(probability, cut_off, most_groups=_MOST_GROUPS)
    generator = np.random.default_rng(seed)
    outcomes = generator.binomial(coarse.n.astype(np.int64), drawn.chances(coarse.probability))
    draws = figures(outcomes, coarse)
    tail = (1 - level) / 2
    found = {}
    for metric in METRICS:
        counted = draws[metric][~np.isnan(draws[metric])]
        if len(counted) < len(draws[metric]) / 2:
            found[metric] = Interval(np.nan, np.nan, np.nan)
            continue
        low, high = np.quantile(counted, [tail, 1 - tail])
        value = counted.mean() if metric == "ks" else expected[metric]
        found[metric] = Interval(float(value), float(low), float(high))
    return found
