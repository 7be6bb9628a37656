"""The rows that a model learns from, encoded, weighted by age, and balanced where the settings say so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.catalogue import learns_from_open
from ml.families.protocol import BATCH_ROWS, Family, Sample, StreamedSample
from ml.training.design_matrix import DesignMatrix
from ml.training.imbalance import NONE, balanced
from ml.training.training_set import Split, TrainingSet
from warehouse.errors import TrainingSetError
from warehouse.lenders.lender import Imbalance

if TYPE_CHECKING:
    import pandas as pd

_DAYS_A_MONTH = 365.25 / 12


@dataclass(frozen=True)
class Samples:
    """A training set as a model reads it.

    ``half_life_months``: see :func:`recency_weights`; ``imbalance``: see :mod:`ml.training.imbalance`. ``with_open``:
    with the time in which each loan was observed, and with loans whose window is still open among those that are
    learned from. Tune rows, which judge, are mature loans within their window.
    """

    training_set: TrainingSet
    design_matrix: DesignMatrix
    half_life_months: float | None = None
    imbalance: Imbalance = NONE
    with_open: bool = False

    def __post_init__(self) -> None:
        if self.with_open and not self.training_set.has_exposures:
            raise TrainingSetError(
                "a family that learns from open loans needs a training set with exposures: this one was read without"
            )

    def read_by(self, family: Family) -> "Samples":
        """The rows as a family reads them."""
        with_open = learns_from_open(family.name)
        return self if with_open == self.with_open else replace(self, with_open=with_open)

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
        rows, defaulted = self.training_set.rows("tune"), self.training_set.defaulted("tune")
        observed, vintage = None, None
        if self.with_open:
            observed = np.minimum(rows["observed_windows"].to_numpy(dtype=np.float64), 1.0)
            vintage = _months(rows)
        features = self.design_matrix.feature_of_column
        return Sample(self.design_matrix.encode(rows), defaulted, None, features, observed, vintage)

    def _learned(self, splits: Sequence[Split]) -> Sample | StreamedSample:
        splits = ("open", *splits) if self.with_open else splits
        rows, weights, observed, vintage = self.training_set.rows(*splits), None, None, None
        defaulted, features = self.training_set.defaulted(*splits), self.design_matrix.feature_of_column
        if self.with_open:
            defaulted = rows["is_default_so_far"].to_numpy(dtype=np.bool_)
            observed = rows["observed_windows"].to_numpy(dtype=np.float64)
            vintage = _months(rows)
        if self.half_life_months is not None:
            weights = recency_weights(rows["decided_at"].to_numpy(), self.half_life_months)
        if self.training_set.mapped is not None:
            directory = self.training_set.mapped.directory
            encode = self.design_matrix.encode
            on_disk = StreamedSample(
                rows, encode, defaulted, directory, BATCH_ROWS, weights, features, observed, vintage
            )
            return balanced(on_disk, self.imbalance, self.design_matrix)
        matrix = self.design_matrix.encode(rows)
        sample = Sample(matrix, defaulted, weights, features, observed, vintage)
        return balanced(sample, self.imbalance, self.design_matrix)


def _months(rows: "pd.DataFrame") -> NDArray[np.int64]:
    return rows["decided_at"].to_numpy().astype("datetime64[M]").astype(np.int64)


def recency_weights(decided_at: NDArray[np.datetime64], half_life_months: float) -> NDArray[np.float64]:
    """A weight for each row, shape (n,): halved with each half-life before the newest decision; their mean is 1.

    >>> recency_weights(np.array(["2020-01-01", "2022-01-01"], dtype="datetime64[us]"), 24.0).round(2)
    array([0.67, 1.33])
    """
    age = (decided_at.max() - decided_at) / np.timedelta64(1, "D") / _DAYS_A_MONTH
    weights = np.exp2(-age / half_life_months)
    return np.asarray(weights / weights.mean(), dtype=np.float64)
