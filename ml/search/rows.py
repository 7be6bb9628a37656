"""Train and tune rows as a search reads them, and one model's figures on one fold of them."""

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ml.families.protocol import Matrix, Sample
from ml.judging.metrics import brier, ece, ece_by_chance, log_loss, roc_auc
from ml.monitoring.drift import score_psi
from ml.search.folds import Fold, FoldPlan, Times, plan_folds
from ml.training.calibration import fit_calibrator, uncalibrated
from ml.training.design_matrix import DesignMatrix
from ml.training.fitting import TrainingSettings
from ml.training.samples import recency_weights
from ml.training.training_set import TrainingSet
from warehouse.features.contract import FeatureContract

Floats = NDArray[np.float64]
#: More rows are searched on this many, spread evenly over all.
MOST_ROWS = 200_000


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


@dataclass(frozen=True)
class SearchRows:
    """Rows in one matrix with all features that may be used; ``n_of``: how many rows there were to draw from."""

    matrix: Matrix
    defaulted: NDArray[np.bool_]
    decided_at: Times
    feature_of_column: tuple[str, ...]
    monotone: tuple[int, ...]
    plan: FoldPlan
    n_of: int

    @classmethod
    def read(
        cls,
        training_set: TrainingSet,
        contract: FeatureContract,
        *,
        exclude: Collection[str] = (),
        is_dated: bool = True,
        most_rows: int = MOST_ROWS,
    ) -> Self:
        """Train and tune rows; test rows are not read."""
        design_matrix = DesignMatrix.from_contract(contract, exclude)
        frame, defaulted = training_set.rows("train", "tune"), training_set.defaulted("train", "tune")
        n_of = len(frame)
        if n_of > most_rows:
            places = np.linspace(0, n_of - 1, num=most_rows, dtype=np.int64)
            frame, defaulted = frame.iloc[places], defaulted[places]
        decided_at = frame["decided_at"].to_numpy().astype("datetime64[us]")
        known_at = frame["label_known_at"].to_numpy().astype("datetime64[us]")
        return cls(
            matrix=design_matrix.encode(frame),
            defaulted=defaulted,
            decided_at=decided_at,
            feature_of_column=design_matrix.feature_of_column,
            monotone=design_matrix.monotone_constraints,
            plan=plan_folds(decided_at, known_at, defaulted, is_dated=is_dated),
            n_of=n_of,
        )

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The features, in contract order."""
        return tuple(dict.fromkeys(self.feature_of_column))


def score_fold(rows: SearchRows, fold: Fold, settings: TrainingSettings) -> FoldScore:
    """Fit, calibrate and, where the settings say so, refit as a training does; then measure."""
    started, processor_started = time.perf_counter(), time.process_time()
    fitted = _Fitted(rows, fold, settings)
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


def permuted_importance(rows: SearchRows, fold: Fold, settings: TrainingSettings) -> tuple[float, Floats]:
    """The log loss, and what each feature's values, shuffled among the fold's rows, add to it, shape (n_features,)."""
    fitted = _Fitted(rows, fold, settings)
    y, generator = rows.defaulted[fold.scored], np.random.default_rng(0)
    before = log_loss(y, fitted.probabilities(fitted.scored))
    cost = np.zeros(len(rows.features))
    for number, feature in enumerate(rows.features):
        columns = [place for place, of in enumerate(fitted.feature_of_column) if of == feature]
        shuffled = fitted.scored.copy()
        shuffled[:, columns] = shuffled[generator.permutation(len(y))][:, columns]
        cost[number] = log_loss(y, fitted.probabilities(shuffled)) - before
    return before, cost


class _Fitted:
    """A model of a fold as it would be served; ``of_tune``: probabilities from before it learned from tune rows."""

    def __init__(self, rows: SearchRows, fold: Fold, settings: TrainingSettings) -> None:
        used = np.array([feature not in settings.exclude for feature in rows.feature_of_column])
        self.feature_of_column = tuple(np.array(rows.feature_of_column)[used].tolist())
        self.scored: Matrix = rows.matrix[fold.scored][:, used]
        monotone = tuple(np.array(rows.monotone)[used].tolist())

        def sample(places: NDArray[np.intp], *, is_weighed: bool = True) -> Sample:
            weights = None
            if is_weighed and settings.half_life_months is not None:
                weights = recency_weights(rows.decided_at[places], settings.half_life_months)
            return Sample(rows.matrix[places][:, used], rows.defaulted[places], weights, self.feature_of_column)

        family, tune = settings.model, sample(fold.tune, is_weighed=False)
        model: Any = family.fit(sample(fold.train), tune, monotone)
        raw = uncalibrated(model.raw_scores(tune.matrix))
        self._calibrator = fit_calibrator(raw, tune.defaulted, method=settings.calibration)
        self.of_tune = self._calibrator.apply(raw)
        if settings.refit:
            model = family.refit(model, sample(np.concatenate([fold.train, fold.tune])), monotone)
        self._model = model

    def probabilities(self, matrix: Matrix) -> Floats:
        return self._calibrator.apply(uncalibrated(self._model.raw_scores(matrix)))


def on_one_thread(settings: TrainingSettings) -> TrainingSettings:
    """The same settings for one of several processes: equal models, without threads that wait for each other."""
    if not hasattr(settings.model, "threads"):
        return settings
    model: Any = settings.model
    return replace(settings, model=replace(model, threads=1))
