"""The weights of a linear model with the least penalised log loss."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml.families.protocol import Sample

Floats = NDArray[np.float64]


def least_loss(
    columns: Floats, sample: Sample, bounds: Sequence[tuple[float | None, float | None]], l2: float
) -> tuple[Floats, float]:
    """Weights, shape (n_columns,), and intercept, for log-odds of default; the last of ``bounds`` is the intercept's.

    ``columns``: what stands for the sample's matrix. ``l2``: weight of the ridge, which spares the intercept. Equal
    input gives equal bits.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    n = len(columns)
    target = sample.defaulted.astype(np.float64)
    share = np.full(n, 1 / n) if sample.weights is None else sample.weights / sample.weights.sum()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, intercept = parameters[:-1], parameters[-1]
        log_odds = columns @ weights + intercept
        value = share @ (np.logaddexp(0.0, log_odds) - target * log_odds) + l2 / (2 * n) * weights @ weights
        residual = (1.0 / (1.0 + np.exp(-log_odds)) - target) * share
        slope = np.append(columns.T @ residual + l2 / n * weights, residual.sum())
        return float(value), slope

    rate = (share @ target * n + 0.5) / (n + 1.0)
    start = np.append(np.zeros(columns.shape[1]), np.log(rate / (1.0 - rate)))
    options = {"ftol": 1e-13, "gtol": 1e-8, "maxiter": 2000, "maxfun": 4000}
    # sums in several threads differ in the last bits with their number
    with threadpool_limits(1, "blas"):
        fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return fitted[:-1], float(fitted[-1])
