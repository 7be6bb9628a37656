"""The rows of a training set in one matrix, and the model of a fold, fitted and calibrated as in a training."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ml.calibration.calibrators import fit_calibrator, uncalibrated
from ml.families.protocol import Matrix, Sample, StreamedSample
from ml.folds.plan import N_FOLDS, Fold, FoldPlan, Times, plan_folds
from ml.training.design_matrix import DesignMatrix
from ml.training.fitting import TrainingSettings
from ml.training.imbalance import balanced
from ml.training.samples import recency_weights
from ml.training.training_set import Split, TrainingSet
from warehouse.features.contract import FeatureContract

Floats = NDArray[np.float64]
#: Of more rows, this many are used, spread evenly over all.
MOST_ROWS = 200_000


@dataclass(frozen=True)
class FoldRows:
    """Rows in one matrix with all features that may be used; ``n_of``: how many rows there were to draw from."""

    design_matrix: DesignMatrix
    matrix: Matrix
    defaulted: NDArray[np.bool_]
    decided_at: Times
    plan: FoldPlan
    n_of: int

    @classmethod
    def read(
        cls,
        training_set: TrainingSet,
        contract: FeatureContract,
        *,
        splits: tuple[Split, ...] = ("train", "tune"),
        exclude: Collection[str] = (),
        is_dated: bool = True,
        n_folds: int = N_FOLDS,
        most_rows: int = MOST_ROWS,
    ) -> Self:
        """The rows of these splits, and their folds; other rows are not read. Raises as :func:`plan_folds` does."""
        design_matrix = DesignMatrix.from_contract(contract, exclude)
        frame, defaulted = training_set.rows(*splits), training_set.defaulted(*splits)
        n_of = len(frame)
        if n_of > most_rows:
            places = np.linspace(0, n_of - 1, num=most_rows, dtype=np.int64)
            frame, defaulted = frame.iloc[places], defaulted[places]
        decided_at = frame["decided_at"].to_numpy().astype("datetime64[us]")
        known_at = frame["label_known_at"].to_numpy().astype("datetime64[us]")
        return cls(
            design_matrix=design_matrix,
            matrix=design_matrix.encode(frame),
            defaulted=defaulted,
            decided_at=decided_at,
            plan=plan_folds(decided_at, known_at, defaulted, is_dated=is_dated, n_folds=n_folds),
            n_of=n_of,
        )

    @property
    def features(self) -> tuple[str, ...]:
        """The features, in contract order."""
        return self.design_matrix.feature_names


class FoldModel:
    """A model of a fold as it would be served.

    ``of_tune``: probabilities of the fold's tune rows from before it learned from them. ``scored``: the rows that it is
    measured on, in columns of ``design_matrix``, which lacks the features that the settings exclude.
    """

    def __init__(self, rows: FoldRows, fold: Fold, settings: TrainingSettings) -> None:
        used = np.array([feature not in settings.exclude for feature in rows.design_matrix.feature_of_column])
        kept = tuple(feature for feature in rows.design_matrix.features if feature.name not in settings.exclude)
        self.design_matrix = replace(rows.design_matrix, features=kept)
        self.scored: Matrix = rows.matrix[fold.scored][:, used]
        monotone, features = self.design_matrix.monotone_constraints, self.design_matrix.feature_of_column

        def learned(places: NDArray[np.intp]) -> Sample | StreamedSample:
            weights = None
            if settings.half_life_months is not None:
                weights = recency_weights(rows.decided_at[places], settings.half_life_months)
            sample = Sample(rows.matrix[places][:, used], rows.defaulted[places], weights, features)
            return balanced(sample, settings.imbalance, self.design_matrix)

        tune = Sample(rows.matrix[fold.tune][:, used], rows.defaulted[fold.tune], features=features)
        family = settings.model
        model: Any = family.fit(learned(fold.train), tune, monotone)
        raw = uncalibrated(model.raw_scores(tune.matrix))
        self._calibrator = fit_calibrator(raw, tune.defaulted, method=settings.calibration)
        self.of_tune = self._calibrator.apply(raw)
        if settings.refit:
            model = family.refit(model, learned(np.concatenate([fold.train, fold.tune])), monotone)
        self._model = model

    def probabilities(self, matrix: Matrix) -> Floats:
        """Calibrated probabilities of rows like those of ``scored``."""
        return self._calibrator.apply(uncalibrated(self._model.raw_scores(matrix)))
