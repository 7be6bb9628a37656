"""How much more often each reference loan's features occur in a month than in the reference: the density ratio.

A classifier that tells the month's decisions from the reference estimates it (Bickel, Brückner, Scheffer 2009,
"Discriminative learning under covariate shift"). Boosted trees from scikit-learn take missing values as they are. Each
loan is weighted by trees that did not learn from it: in-sample ratios are too extreme.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: Beyond it a single reference loan would stand for a month.
MOST_WEIGHT = 20.0
_FOLDS = 3


@dataclass(frozen=True)
class DensityRatio:
    """``weights``: of the reference loans, shape (n,), with mean 1."""

    weights: Floats

    @property
    def n_effective(self) -> float:
        """How many loans of equal weight would say as much (Kish 1965).

        >>> DensityRatio(np.array([1.0, 1.0, 0.0, 0.0])).n_effective
        2.0
        """
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())


def density_ratio(reference: NDArray[np.float32], month: NDArray[np.float32], *, seed: int = 0) -> DensityRatio:
    """Of encoded rows, shapes (n, n_columns) and (m, n_columns)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    rows = np.concatenate([reference, month])
    is_month = np.arange(len(rows)) >= len(reference)
    fold = np.random.default_rng(seed).permutation(len(rows)) % _FOLDS
    share = np.empty(len(reference))
    for held_out in range(_FOLDS):
        inside, asked = fold != held_out, np.flatnonzero(fold[: len(reference)] == held_out)
        # scikit-learn finds no bins for a column without values, and a constant one tells nothing
        told = np.fmin.reduce(rows[inside], axis=0) < np.fmax.reduce(rows[inside], axis=0)
        if not told.any():
            return DensityRatio(np.ones(len(reference)))
        # shallow and few: the classifier must find shifts, not loans
        trees = HistGradientBoostingClassifier(
            max_iter=60, learning_rate=0.08, max_leaf_nodes=8, min_samples_leaf=50, early_stopping=False,
            random_state=seed,
        )  # fmt: skip
        # one thread: on a busy machine OpenMP's threads wait for each other, and 10,000 rows took 11 s in place of 0.5
        with threadpool_limits(1, user_api="openmp"):
            trees.fit(rows[np.ix_(inside, told)], is_month[inside])
            share[asked] = trees.predict_proba(reference[np.ix_(asked, told)])[:, 1]
    weights = np.minimum(share / np.maximum(1 - share, 1e-9) * len(reference) / len(month), MOST_WEIGHT)
    return DensityRatio(weights / weights.mean())
