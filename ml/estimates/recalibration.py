"""The chance of default at each served probability, as labelled reference loans have it, and how uncertain it is.

A line in the log-odds (Platt 1999), fitted by weighted maximum likelihood. With weight 1 for each loan it corrects the
model's calibration on loans that it did not learn from. With the density ratios of a month as weights, it is
calibrated for the month's applicants (PAPE; Białek, Kuberski, Perrakis, Bifet: "Estimating model performance under
covariate shift without labels", 2024, section 4).

Uncertainty: the reference loans drawn again, with replacement (Poisson bootstrap: Chamandy and others, "Estimating
uncertainty for massive data streams", 2012). The density ratios are not estimated again in each draw.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
N_DRAWS = 400
_EDGE, _STEPS, _MOST_GROUPS = 1e-6, 30, 400
#: Of slope and intercept, towards those of the served probability, for a draw without a default or without a good loan.
_RIDGE = 1e-3


def log_odds(probability: ArrayLike) -> Floats:
    """Log-odds of probabilities, cut to finite values."""
    p = np.clip(np.asarray(probability, dtype=np.float64), _EDGE, 1 - _EDGE)
    return np.asarray(np.log(p) - np.log1p(-p))


@dataclass(frozen=True)
class Lines:
    """Recalibrations ``logit(chance) = slope * logit(probability) + intercept``; arrays of shape (n_lines,)."""

    slope: Floats
    intercept: Floats

    def chances(self, probability: ArrayLike) -> Floats:
        """The chance of default by each line, shape (n_lines, n)."""
        x = self.slope[:, None] * log_odds(probability)[None, :] + self.intercept[:, None]
        return np.asarray(1 / (1 + np.exp(-x)))


@dataclass(frozen=True)
class Recalibrator:
    """Labelled reference loans: served probability and outcome, each of shape (n,); ``seed`` draws them again."""

    probability: Floats
    defaulted: NDArray[np.bool_]
    seed: int = 0
    n_draws: int = N_DRAWS

    def fit(self, weights: Floats | None = None) -> tuple[Lines, Lines]:
        """The one line of all loans, and the lines of the loans drawn again."""
        w = np.ones(len(self.probability)) if weights is None else weights
        draws = np.vstack([np.ones((1, len(w))), self._draws]) * w
        lines = self._lines(draws[:, self._order])
        return Lines(lines.slope[:1], lines.intercept[:1]), Lines(lines.slope[1:], lines.intercept[1:])

    @cached_property
    def _draws(self) -> NDArray[np.uint8]:
        generator = np.random.default_rng(self.seed)
        return generator.poisson(1.0, (self.n_draws, len(self.probability))).astype(np.uint8)

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.probability, kind="stable")

    def _lines(self, weights: Floats) -> Lines:
        """Newton's method for all lines together, over groups of loans of nearly equal probability."""
        x, y = log_odds(self.probability)[self._order], self.defaulted[self._order].astype(np.float64)
        n_groups = min(len(x), _MOST_GROUPS)
        starts = np.arange(n_groups) * len(x) // n_groups
        total = np.add.reduceat(weights, starts, axis=1)
        bad = np.add.reduceat(weights * y, starts, axis=1)
        x = np.add.reduceat(x, starts) / np.diff(np.append(starts, len(x)))
        slope, intercept = np.ones(len(weights)), np.zeros(len(weights))
        for _ in range(_STEPS):
            chance = 1 / (1 + np.exp(-(slope[:, None] * x + intercept[:, None])))
            rest, curve = bad - total * chance, total * chance * (1 - chance)
            first = rest @ x - _RIDGE * (slope - 1), rest.sum(axis=1) - _RIDGE * intercept
            xx, x1, one = curve @ x**2 + _RIDGE, curve @ x, curve.sum(axis=1) + _RIDGE
            determinant = xx * one - x1**2
            steps = (one * first[0] - x1 * first[1]) / determinant, (xx * first[1] - x1 * first[0]) / determinant
            # no step may leave the range in which the curve is known
            slope, intercept = slope + np.clip(steps[0], -1, 1), intercept + np.clip(steps[1], -1, 1)
            if max(np.abs(steps[0]).max(), np.abs(steps[1]).max()) < 1e-9:
                break
        return Lines(slope, intercept)
