"""Small made-up risks that each family learns."""

import numpy as np

from ml.families.protocol import Model, Sample
from ml.judging.metrics import roc_auc


def small_sample(n: int, *, seed: int, missing: float = 0.0) -> Sample:
    """Risk rises with the first column, is U-shaped in the second; the third is noise."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(n, 3)).astype(np.float32)
    log_odds = -1.5 + matrix[:, 0] + 0.8 * (matrix[:, 1] ** 2 - 1)
    defaulted = random.random(n) < 1 / (1 + np.exp(-log_odds))
    matrix[random.random(matrix.shape) < missing] = np.nan
    return Sample(matrix, defaulted)


TRAIN, TUNE, TEST = small_sample(3000, seed=1), small_sample(1500, seed=2), small_sample(3000, seed=3)


def auc(model: Model, sample: Sample) -> float:
    return roc_auc(sample.defaulted, model.raw_scores(sample.matrix)).value
