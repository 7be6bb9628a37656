"""What a model costs in service: the time of one score and of one applicant's reasons, and the size of its files."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ml.bundle.bundle import Bundle
from ml.bundle.scorer import Scorer

if TYPE_CHECKING:
    import pandas as pd

#: Loans timed, spread over the test, after some to warm up.
TIMED_ROWS, _WARM_UP = 200, 20
Vector = tuple[object, ...]


def microseconds(scorer: Scorer, rows: "pd.DataFrame") -> tuple[float, float]:
    """Median time of a score, and of its reasons, for one row at a time in the served form.

    ``rows``: of the training table. A score goes from the features to the decision, reasons from the features to the
    texts; neither has the request, the history or the log, which are the same for every family.
    """
    vectors = feature_vectors(scorer, rows)
    return _median(scorer.score, vectors), _median(scorer.reasons, vectors)


def feature_vectors(scorer: Scorer, rows: "pd.DataFrame", most: int = TIMED_ROWS) -> list[Vector]:
    """Up to ``most`` rows, spread over all, as feature vectors in the contract's order, None for missing."""
    places = np.linspace(0, len(rows) - 1, num=min(most, len(rows)), dtype=np.int64)
    taken = rows.iloc[places][list(scorer.contract.feature_names)].astype(object)
    return list(taken.where(taken.notna(), None).itertuples(index=False, name=None))


def model_bytes(bundle: Bundle) -> int:
    """Size of the files of the model itself, without the rest of its bundle."""
    return sum((bundle.directory / name).stat().st_size for name in bundle.model_files)


def _median(measured: Callable[[Vector], object], vectors: Sequence[Vector]) -> float:
    for vector in vectors[:_WARM_UP]:
        measured(vector)
    taken = []
    for vector in vectors:
        started = time.perf_counter_ns()
        measured(vector)
        taken.append(time.perf_counter_ns() - started)
    return float(np.median(taken)) / 1000
