"""Logistic regression: the baseline that every family must beat; it is never served."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.protocol import Matrix, Sample, StreamedSample

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_MOST_ROWS = 200_000


@dataclass(frozen=True)
class FittedLogistic:
    """A fitted logistic regression, its imputation and scaling inside."""

    pipeline: "Pipeline"

    def raw_scores(self, matrix: Matrix) -> NDArray[np.float64]:
        """Log-odds, shape (n,)."""
        return np.asarray(self.pipeline.decision_function(matrix.astype(np.float64)), dtype=np.float64)


@dataclass(frozen=True)
class LogisticRegression:
    """The baseline: medians for missing values and an indicator of each, standardised columns, a mild ridge (``c``).

    A streamed sample is fitted on 200,000 rows spread over all: 50 columns need no more.
    """

    c: float = 0.1

    def fit(self, train: Sample | StreamedSample, tune: Sample, monotone: tuple[int, ...]) -> FittedLogistic:
        """Fit on ``train``; needs neither ``tune`` nor directions."""
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        del tune, monotone
        sample = train if isinstance(train, Sample) else train.drawn(_MOST_ROWS)
        pipeline = make_pipeline(
            # a column without any value in train stays, as zeros, so that later rows still fit
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            StandardScaler(),
            SklearnLogisticRegression(C=self.c, max_iter=2000),
        )
        pipeline.fit(sample.matrix.astype(np.float64), sample.defaulted)
        return FittedLogistic(pipeline)
