"""Signs that a feature knows the outcome.

Each feature is judged alone, on train rows, by three figures:

- ``auc``: how well its value ranks defaults, in the better direction (a category by its default rate);
- ``missing_auc``: how well its absence does (a field filled in only after a default, or only without one);
- ``isolated``: the greatest share of all defaults in one end of its range, one category or its absence, where at least
  95 % defaulted. Amounts recovered from defaulted loans rank the rest no better than chance, yet every loan that has
  one defaulted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.judging.metrics import roc_auc
from ml.training.training_set import TrainingSet
from warehouse.features.contract import FeatureColumn, FeatureContract

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
PURE = 0.95


@dataclass(frozen=True)
class FeatureSignal:
    """One feature's signals; all three within 0..1, the AUCs from 0.5."""

    feature: str
    auc: float
    missing_auc: float
    isolated: float


def feature_signals(training_set: TrainingSet, contract: FeatureContract) -> tuple[FeatureSignal, ...]:
    """Every feature's signal on train rows, in contract order, including features that the model leaves out."""
    rows, defaulted = training_set.rows("train"), training_set.defaulted("train")
    return tuple(_signal(feature, rows[feature.name], defaulted) for feature in contract.features)


def _signal(feature: FeatureColumn, values: "pd.Series[Any]", defaulted: NDArray[np.bool_]) -> FeatureSignal:
    missing = values.isna().to_numpy()
    present = ~missing
    numbers = _risk_order(feature, values[present], defaulted[present])
    return FeatureSignal(
        feature=feature.name,
        auc=_either_direction(defaulted[present], numbers),
        missing_auc=_either_direction(defaulted, missing.astype(np.float64)),
        isolated=max(_pure_shares(defaulted, numbers, present), default=0.0),
    )


def _risk_order(feature: FeatureColumn, values: "pd.Series[Any]", defaulted: NDArray[np.bool_]) -> Floats:
    if feature.kind != "categorical":
        return values.to_numpy(dtype=np.float64)
    import pandas as pd

    codes = pd.Categorical(values).codes
    n = np.bincount(codes)
    return np.asarray((np.bincount(codes, weights=defaulted) / np.maximum(n, 1))[codes], dtype=np.float64)


def _either_direction(defaulted: NDArray[np.bool_], values: Floats) -> float:
    auc = roc_auc(defaulted, values).value
    return 0.5 if np.isnan(auc) else max(auc, 1 - auc)


def _pure_shares(defaulted: NDArray[np.bool_], numbers: Floats, present: NDArray[np.bool_]) -> Iterator[float]:
    n_defaults = int(defaulted.sum())
    if n_defaults == 0:
        return
    of_missing = defaulted[~present]
    if len(of_missing) and of_missing.mean() >= PURE:
        yield float(of_missing.sum() / n_defaults)
    for direction in (numbers, -numbers):
        order = np.argsort(direction, kind="stable")
        caught = np.cumsum(defaulted[present][order])
        end_of_value = np.append(np.diff(direction[order]) > 0, True)[: len(order)]
        pure = end_of_value & (caught >= PURE * np.arange(1, len(order) + 1))
        if pure.any():
            yield float(caught[pure].max() / n_defaults)
