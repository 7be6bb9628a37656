"""The families on folds of all labelled rows: figures of each fold, and how far they scatter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from statistics import mean, stdev
from typing import Any, Final

import numpy as np

from ml.folds.plan import Fold
from ml.folds.rows import FoldModel, FoldRows
from ml.judging.metrics import h_measure, measure
from ml.training.fitting import TrainingSettings

#: Figures of ``models.comparison`` that have a mean and a spread over the folds.
FOLD_FIGURES: Final = ("auc", "gini", "ks", "h_measure", "brier", "log_loss", "ece")


@dataclass(frozen=True, kw_only=True)
class FoldFigures:
    """One row of ``models.comparison_folds``: a model on the rows of one fold, after learning from ``n_learned``.

    ``decided_from``, ``decided_to``: first and last decision of a fold in time; None of a stratified one.
    """

    model: str
    number: int
    fold: str
    decided_from: datetime | None
    decided_to: datetime | None
    n_learned: int
    n: int
    n_defaults: int
    default_rate: float | None
    mean_probability: float | None
    auc: float | None
    gini: float | None
    ks: float | None
    h_measure: float | None
    brier: float | None
    log_loss: float | None
    ece: float | None


def fold_figures(model: str, rows: FoldRows, settings: TrainingSettings) -> Iterator[FoldFigures]:
    """Fit the settings' model of each fold, and measure it."""
    for number, fold in enumerate(rows.plan.folds, start=1):
        fitted = FoldModel(rows, fold, settings)
        probabilities, defaulted = fitted.probabilities(fitted.scored), rows.defaulted[fold.scored]
        # no figure kept here depends on the cut-off
        figures = measure(defaulted, probabilities, cut_off=1.0).to_dict()
        figures["h_measure"] = _known(h_measure(defaulted, probabilities))
        begin, end = _decided(rows, fold)
        yield FoldFigures(
            model=model,
            number=number,
            fold=fold.name,
            decided_from=begin,
            decided_to=end,
            n_learned=len(fold.train) + len(fold.tune),
            **{name: figures[name] for name in ("n", "n_defaults", "default_rate", "mean_probability", *FOLD_FIGURES)},
        )


def spread(folds: Sequence[FoldFigures]) -> Mapping[str, Any]:
    """``…_fold_mean`` and ``…_fold_spread`` of each figure: mean and standard deviation over a model's folds."""
    found: dict[str, float | None] = {}
    for name in FOLD_FIGURES:
        values = [value for fold in folds if (value := getattr(fold, name)) is not None]
        found[f"{name}_fold_mean"] = mean(values) if values else None
        found[f"{name}_fold_spread"] = stdev(values) if len(values) > 1 else None
    return found


def _decided(rows: FoldRows, fold: Fold) -> tuple[Any, Any]:
    if rows.plan.kind == "stratified":
        return None, None
    decided_at = rows.decided_at[fold.scored]
    return np.min(decided_at).item(), np.max(decided_at).item()


def _known(value: float) -> float | None:
    return None if isnan(value) else value
