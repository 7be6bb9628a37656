"""The figures of a set of decisions from how many of each score default: expected, drawn or counted.

With expected numbers this is confidence-based performance estimation (CBPE; NannyML's documentation, "Estimation of
performance of the monitored model", 2022): a loan whose chance of default is 0.3 counts as 0.3 defaults and 0.7 good
loans. A rate is the ratio of expected numbers, and the ROC is that of the expected rates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Metric = Literal[
    "auc",
    "ks",
    "brier",
    "precision",
    "recall",
    "f1",
    "default_rate",
    "true_positives",
    "false_positives",
    "true_negatives",
    "false_negatives",
]
METRICS: tuple[Metric, ...] = get_args(Metric)


@dataclass(frozen=True)
class ScoreGroups:
    """Decisions by served probability, ascending: each array of shape (n_groups,).

    ``n``: decisions. ``probability``, ``squared``: means of the served probability and of its square. ``is_declined``:
    whether the probability is at or above the cut-off. ``place``: the group of each decision, shape (n_decisions,).
    """

    n: Floats
    probability: Floats
    squared: Floats
    is_declined: NDArray[np.bool_]
    place: NDArray[np.intp]

    def sums(self, values: ArrayLike) -> Floats:
        """Sum of a value of each decision, by group."""
        weights = np.asarray(values, dtype=np.float64)
        return np.asarray(np.bincount(self.place, weights=weights, minlength=len(self.n)), dtype=np.float64)


def group_scores(probability: ArrayLike, cut_off: float, *, most_groups: int | None = None) -> ScoreGroups:
    """One group for each different probability; or ``most_groups`` of about equal size, none across the cut-off."""
    p = np.asarray(probability, dtype=np.float64)
    distinct, place = np.unique(p, return_inverse=True)
    if most_groups is not None and len(distinct) > most_groups:
        ranks = np.cumsum(np.bincount(place)) - 1
        coarse = ranks * most_groups // len(p) + (distinct >= cut_off)
        place = np.unique(coarse, return_inverse=True)[1][place]
    n = np.bincount(place).astype(np.float64)
    mean = np.bincount(place, weights=p) / n
    return ScoreGroups(n, mean, np.bincount(place, weights=p**2) / n, mean >= cut_off, place)


def figures(bad: ArrayLike, groups: ScoreGroups) -> dict[Metric, Floats]:
    """Every metric from the defaults of each group, shape (..., n_groups); each result has the shape of the rest.

    A figure that the numbers do not define is ``nan``. Brier takes the served probability at the group's mean.

    >>> groups = group_scores([0.1, 0.4, 0.4, 0.9], cut_off=0.5)
    >>> found = figures([0.1, 0.8, 0.9], groups)
    >>> [round(float(found[name]), 4) for name in ("auc", "ks", "brier", "precision", "recall", "default_rate")]
    [0.803, 0.4545, 0.165, 0.9, 0.5, 0.45]
    """
    k = np.asarray(bad, dtype=np.float64)
    good = groups.n - k
    n_bad, n_good, n = k.sum(axis=-1), good.sum(axis=-1), groups.n.sum()
    above = np.cumsum(good, axis=-1) - good
    declined = groups.is_declined
    true_positives, false_positives = k[..., declined].sum(axis=-1), good[..., declined].sum(axis=-1)
    false_negatives, true_negatives = n_bad - true_positives, n_good - false_positives
    squares = groups.n * groups.squared - 2 * groups.probability * k + k
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = np.cumsum(good, axis=-1) / n_good[..., None] - np.cumsum(k, axis=-1) / n_bad[..., None]
        found: Mapping[Metric, Floats] = {
            "auc": (k * (above + 0.5 * good)).sum(axis=-1) / (n_bad * n_good),
            "ks": np.abs(gap).max(axis=-1),
            "brier": squares.sum(axis=-1) / n,
            "precision": true_positives / (true_positives + false_positives),
            "recall": true_positives / n_bad,
            "f1": 2 * true_positives / (2 * true_positives + false_positives + false_negatives),
            "default_rate": n_bad / n,
            "true_positives": true_positives,
            "false_positives": false_positives,
            "true_negatives": true_negatives,
            "false_negatives": false_negatives,
        }
    return {name: np.asarray(found[name]) for name in METRICS}
