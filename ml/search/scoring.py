"""A trial's figures on one fold, and what each feature is worth there."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.folds.plan import Fold
from ml.folds.rows import FoldModel, FoldRows
from ml.judging.metrics import brier, ece, ece_by_chance, log_loss, roc_auc
from ml.monitoring.drift import score_psi
from ml.training.fitting import TrainingSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FoldScore:
    """A model's figures on the rows of a fold.

    ``excess_ece``: calibration error beyond what chance gives. ``psi``: of the scores against those of the tune rows
    that the same model was calibrated on. ``seconds``: wall time; ``processor_seconds``: of the process.
    """

    fold: str
    n: int
    n_defaults: int
    log_loss: float
    auc: float
    brier: float
    excess_ece: float
    psi: float
    seconds: float
    processor_seconds: float


def score_fold(rows: FoldRows, fold: Fold, settings: TrainingSettings) -> FoldScore:
    """Fit a fold's model and measure it."""
    started, processor_started = time.perf_counter(), time.process_time()
    fitted = FoldModel(rows, fold, settings)
    probability, y = fitted.probabilities(fitted.scored), rows.defaulted[fold.scored]
    return FoldScore(
        fold=fold.name,
        n=len(y),
        n_defaults=int(y.sum()),
        log_loss=log_loss(y, probability),
        auc=roc_auc(y, probability).value,
        brier=brier(y, probability),
        excess_ece=ece(y, probability) - ece_by_chance(probability),
        psi=score_psi(fitted.of_tune, probability),
        seconds=time.perf_counter() - started,
        processor_seconds=time.process_time() - processor_started,
    )


def permuted_importance(rows: FoldRows, fold: Fold, settings: TrainingSettings) -> tuple[float, Floats]:
    """The log loss, and what each feature's values, shuffled among the fold's rows, add to it, shape (n_features,)."""
    fitted = FoldModel(rows, fold, settings)
    y, generator = rows.defaulted[fold.scored], np.random.default_rng(0)
    before = log_loss(y, fitted.probabilities(fitted.scored))
    cost = np.zeros(len(rows.features))
    for number, feature in enumerate(rows.features):
        columns = [place for place, of in enumerate(fitted.design_matrix.feature_of_column) if of == feature]
        shuffled = fitted.scored.copy()
        shuffled[:, columns] = shuffled[generator.permutation(len(y))][:, columns]
        cost[number] = log_loss(y, fitted.probabilities(shuffled)) - before
    return before, cost


def on_one_thread(settings: TrainingSettings) -> TrainingSettings:
    """The same settings for one of several processes: equal models, without threads that wait for each other."""
    if not hasattr(settings.model, "threads"):
        return settings
    model: Any = settings.model
    return replace(settings, model=replace(model, threads=1))
