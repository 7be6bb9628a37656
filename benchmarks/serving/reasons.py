"""Reason codes of one applicant: exact contributions looked up, against XGBoost's own TreeSHAP.

400 trees of depth 5 over 40 columns, fitted to random rows. Both start from an encoded row; XGBoost predicts row by row
as a request does.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.comparison import Comparison
from ml.trees.explain import Explainer
from ml.trees.forest import Forest

N_TREES, DEPTH, N_COLUMNS = 400, 5, 40
_N_ROWS = 200


def run() -> list[Comparison]:
    """The median milliseconds a row, and the largest difference between the two, which is rounding."""
    import xgboost

    random = np.random.default_rng(7)
    rows = random.normal(size=(5_000, N_COLUMNS)).astype(np.float32)
    defaulted = random.random(len(rows)) < 1 / (1 + np.exp(2 - rows[:, :5].sum(axis=1)))
    settings = {"max_depth": DEPTH, "eta": 0.05, "objective": "binary:logistic", "nthread": 1}
    booster = xgboost.train(settings, xgboost.DMatrix(rows, defaulted.astype(float)), num_boost_round=N_TREES)
    explainer = Explainer.from_forest(Forest.from_booster(booster))
    asked = [xgboost.DMatrix(row.reshape(1, -1)) for row in rows[:_N_ROWS]]

    ours = _median_ms(lambda number: explainer.contributions(rows[number]))
    theirs = _median_ms(lambda number: booster.predict(asked[number], pred_contribs=True))
    difference = max(
        float(
            np.abs(
                explainer.contributions(rows[number]) - booster.predict(asked[number], pred_contribs=True)[0, :-1]
            ).max()
        )
        for number in range(_N_ROWS)
    )
    if difference > 1e-4:  # XGBoost sums in float32
        raise AssertionError(f"contributions differ by {difference}")
    return [
        Comparison(
            f"contributions of one row, {N_TREES} trees of depth {DEPTH}",
            "XGBoost's pred_contribs",
            "ms",
            ours,
            theirs,
            higher_is_better=False,
        )
    ]


def _median_ms(explain: Callable[[int], object]) -> float:
    seconds = []
    for number in range(_N_ROWS):
        started = time.perf_counter()
        explain(number)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)
