"""Defaults so far against those expected by now: the first outcomes of loans whose window is still open.

A loan of chance *c* that was observed for the share *m* of its window is expected to have defaulted with the chance
*c·G(m)*; *G* is the share of defaults that had happened by then among mature loans (the empirical distribution of their
times). The sum over a month's loans is the expected number; the observed number over it is the standardised ratio of
observed to expected events (Breslow, Day 1987, "Statistical methods in cancer research II", chapter 2). Unlike the
other estimates it sees a change of the risk of equal applicants, as soon as defaults can be known.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.estimates.estimate import LEVEL, Interval
from ml.estimates.expected import group_scores
from ml.estimates.recalibration import Lines

Floats = NDArray[np.float64]
_MOST_GROUPS = 1_000


@dataclass(frozen=True)
class ObservedLoans:
    """A month's loans: served probability, share of the window in which each was observed, and default by then."""

    probability: Floats
    observed_windows: Floats
    defaulted: NDArray[np.bool_]


def expected_defaults(
    loans: ObservedLoans, default_times: Floats, line: Lines, drawn: Lines, *, seed: int = 0, level: float = LEVEL
) -> Interval:
    """The number of defaults that the served probabilities expect by now, and the interval of the counted number.

    The drawn lines tell how uncertain the calibration is around ``line``; the level is that of the served probability.
    ``default_times``: windows to default of mature loans that defaulted. Counts are Poisson around each drawn line's
    expectation, a little wider than the sum of single draws is.
    """
    share = np.searchsorted(np.sort(default_times), loans.observed_windows, side="right") / len(default_times)
    estimated = float((loans.probability * share).sum())
    groups = group_scores(loans.probability, 1.0, most_groups=_MOST_GROUPS)
    around = Lines(drawn.slope - line.slope[0] + 1, drawn.intercept - line.intercept[0])
    means = around.chances(groups.probability) @ groups.sums(share)
    # many counts for each line: quantiles of small numbers are whole, and must not depend on the draw
    counts = np.random.default_rng(seed).poisson(means, (50, len(means)))
    low, high = np.quantile(counts, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Interval(estimated, float(low), float(high))
