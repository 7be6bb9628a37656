"""XGBoost's matrix on disk, over train rows that are encoded in batches."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.families.protocol import StreamedSample

if TYPE_CHECKING:
    import xgboost


def external_matrix(sample: StreamedSample, cache: Path, **options: Any) -> "xgboost.ExtMemQuantileDMatrix":
    """XGBoost's quantised matrix of the rows, in files under ``cache``, which must outlive it.

    XGBoost reads the rows several times: to find the quantiles, then to write the matrix.
    """
    import xgboost

    class Rows(xgboost.DataIter):
        """Gives XGBoost the batches."""

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
