"""The rows that a model learns from, encoded, weighted by age, and balanced where the settings say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml.families.protocol import BATCH_ROWS, Sample, StreamedSample
from ml.training.design_matrix import DesignMatrix
from ml.training.imbalance import NONE, balanced
from ml.training.training_set import Split, TrainingSet
from warehouse.lenders.lender import Imbalance

_DAYS_A_MONTH = 365.25 / 12


@dataclass(frozen=True)
class Samples:
    """A training set as a model reads it.

    ``half_life_months``: see :func:`recency_weights`; ``imbalance``: see :mod:`ml.training.imbalance`.
    """

    training_set: TrainingSet
    design_matrix: DesignMatrix
    half_life_months: float | None = None
    imbalance: Imbalance = NONE

    @cached_property
    def train(self) -> Sample | StreamedSample:
        """Train rows, which may lie on disk."""
        return self._learned(("train",))

    @cached_property
    def both(self) -> Sample | StreamedSample:
        """Train and tune rows, for a model whose choices have been made."""
        return self._learned(("train", "tune"))

    @cached_property
    def tune(self) -> Sample:
        """Tune rows as they are, since they judge."""
        matrix = self.design_matrix.encode(self.training_set.rows("tune"))
        return Sample(matrix, self.training_set.defaulted("tune"), features=self.design_matrix.feature_of_column)

    def _learned(self, splits: Sequence[Split]) -> Sample | StreamedSample:
        rows = self.training_set.rows(*splits)
        defaulted, weights = self.training_set.defaulted(*splits), None
        features = self.design_matrix.feature_of_column
        if self.half_life_months is not None:
            weights = recency_weights(rows["decided_at"].to_numpy(), self.half_life_months)
        if self.training_set.mapped is not None:
            directory = self.training_set.mapped.directory
            on_disk = StreamedSample(
                rows, self.design_matrix.encode, defaulted, directory, BATCH_ROWS, weights, features
            )
            return balanced(on_disk, self.imbalance, self.design_matrix)
        sample = Sample(self.design_matrix.encode(rows), defaulted, weights, features)
        return balanced(sample, self.imbalance, self.design_matrix)


def recency_weights(decided_at: NDArray[np.datetime64], half_life_months: float) -> NDArray[np.float64]:
    """A weight for each row, shape (n,): halved with each half-life before the newest decision; their mean is 1.

    >>> recency_weights(np.array(["2020-01-01", "2022-01-01"], dtype="datetime64[us]"), 24.0).round(2)
    array([0.67, 1.33])
    """
    age = (decided_at.max() - decided_at) / np.timedelta64(1, "D") / _DAYS_A_MONTH
    weights = np.exp2(-age / half_life_months)
    return np.asarray(weights / weights.mean(), dtype=np.float64)
