"""Train rows that are encoded a batch at a time, and XGBoost's matrix over them, which lies on disk."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.training.design_matrix import DesignMatrix, Matrix

if TYPE_CHECKING:
    import pandas as pd
    import xgboost

#: About 130 MB of 64 columns as float32: what is in memory at a time, beside what XGBoost holds.
BATCH_ROWS = 500_000


@dataclass(frozen=True)
class StreamedSample:
    """Rows to fit on that are never encoded all at once; ``defaulted`` (n,) is held.

    ``directory``: where a matrix too large for memory may lie.
    """

    frame: "pd.DataFrame"
    design_matrix: DesignMatrix
    defaulted: NDArray[np.bool_]
    directory: Path
    batch_rows: int

    def batches(self) -> Iterator[tuple[Matrix, NDArray[np.bool_]]]:
        """Matrices of at most ``batch_rows`` rows with their outcomes, in order."""
        for start in range(0, len(self.frame), self.batch_rows):
            rows = slice(start, start + self.batch_rows)
            yield self.design_matrix.encode(self.frame.iloc[rows]), self.defaulted[rows]

    def drawn(self, n_rows: int) -> tuple[Matrix, NDArray[np.bool_]]:
        """So many rows spread evenly over all, encoded; the same rows whenever they are drawn."""
        places = np.linspace(0, len(self.frame) - 1, num=min(n_rows, len(self.frame)), dtype=np.int64)
        return self.design_matrix.encode(self.frame.iloc[places]), self.defaulted[places]


def external_matrix(sample: StreamedSample, cache: Path, **options: Any) -> "xgboost.ExtMemQuantileDMatrix":
    """XGBoost's quantised matrix of the rows, in files under ``cache``, which must outlive it.

    XGBoost reads the rows several times: to find the quantiles, then to write the matrix.
    """
    import xgboost

    class Rows(xgboost.DataIter):
        """What XGBoost asks for the next batch."""

        def __init__(self) -> None:
            super().__init__(cache_prefix=str(cache / "matrix"))
            self._batches = sample.batches()

        def next(self, input_data: Any) -> bool:
            found = next(self._batches, None)
            if found is None:
                return False
            matrix, defaulted = found
            input_data(data=matrix, label=defaulted)
            return True

        def reset(self) -> None:
            self._batches = sample.batches()

    return xgboost.ExtMemQuantileDMatrix(Rows(), **options)
