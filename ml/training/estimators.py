"""Gradient-boosted trees, and the logistic regression they must beat, behind one interface.

An estimator is a frozen value of settings; fitting it gives a model that turns matrices into raw probabilities.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ml.training.design_matrix import Matrix
from ml.training.external_memory import StreamedSample, external_matrix
from warehouse.errors import SettingError

if TYPE_CHECKING:
    import xgboost
    from sklearn.pipeline import Pipeline

Floats = NDArray[np.float64]
_MANY_ROWS = 200_000
#: Below this number of defaults a leaf needs fewer of them.
_FEW_DEFAULTS = 64


@dataclass(frozen=True)
class Sample:
    """Rows to fit on: the matrix (n, n_columns) with NaN for missing, and who defaulted (n,)."""

    matrix: Matrix
    defaulted: NDArray[np.bool_]


class FittedModel(Protocol):
    """What an estimator learned."""

    def predict(self, matrix: Matrix) -> Floats:
        """Raw (uncalibrated) probabilities of default, shape (n,), from rows encoded as those it was fitted on."""
        ...


class Estimator(Protocol):
    """Settings that can learn."""

    def fit(self, train: Sample | StreamedSample, tune: Sample, monotone: tuple[int, ...]) -> FittedModel:
        """Learn from ``train``; ``tune`` may decide when to stop. ``monotone``: each column's direction of risk."""
        ...


@dataclass(frozen=True)
class BoostedTrees:
    """A fitted booster, cut to the number of trees that did best on tune rows."""

    booster: "xgboost.Booster"
    n_trees: int

    def predict(self, matrix: Matrix) -> Floats:
        """Raw probabilities; float32 inside, widened here."""
        return np.asarray(self.booster.inplace_predict(matrix), dtype=np.float64)

    def gain(self, n_columns: int) -> Floats:
        """For each column the training loss its splits removed, as a share of all: sums to 1."""
        total = np.zeros(n_columns)
        for name, value in self.booster.get_score(importance_type="total_gain").items():
            total[int(name[1:])] = value
        return total / total.sum() if total.sum() > 0 else total

    def to_bytes(self) -> bytes:
        """The booster in UBJSON; equal training sets and settings give equal bytes."""
        return bytes(self.booster.save_raw("ubj"))


@dataclass(frozen=True)
class GradientBoosting:
    """XGBoost by histogram, with the contract's monotone constraints.

    ``max_trees`` is the ceiling; ``patience`` is after how many trees without a better tune log loss it stops.
    ``row_share`` and ``column_share`` are sampled anew for each tree.

    The defaults were chosen on rows before 2011 H2 of Lending Club (trained to 2009, tested on 2010 H2; trained to
    2010 H1, tested on 2011 H1), two folds of UCI, and the true probabilities of the simulated lender: depths 2 to 5,
    shares .3 to .8 and heavier penalties lay within .003 AUC of each other, these best or second on all but the last.

    **Few defaults.** ``min_child_weight`` is the least weight of a leaf, about the number of defaults expected in it.
    With 49 defaults in 1,181 rows a leaf of 20 is nearly half of everything: no split was left, and the model was a
    constant of AUC .500. Below 64 defaults in the train rows it shrinks with their square (:meth:`least_leaf`); from 64
    on nothing changes. Drawn from the simulated lender, five times each, tested on the same 555 loans:

    ==================  ==========  ============  ========
    train rows          20, always  least_leaf    logistic
    ==================  ==========  ============  ========
    600, 25 defaults    .500        .680 ± .015   .568
    1,181, 49 defaults  .500        .701 ± .026   .592
    1,300, 60 defaults              .715 ± .015   .583
    1,500, 80 defaults  .715        as with 20    .592
    ==================  ==========  ============  ========

    A tenth, a fifth and 4/15 of the defaults gave the same within .007.
    Depths 1 to 3, a lower learning rate and a lower ``l2`` lay within .015 of it, none above by more than noise.

    ``threads``: None takes one below 200,000 train rows and every core above. On 21,000 × 64 one thread took 7 s of
    processor time and two took 32 s, most of it waiting for each other. The booster's bytes are the same.
    """

    max_trees: int = 2000
    learning_rate: float = 0.03
    max_depth: int = 4
    min_child_weight: float = 20.0
    row_share: float = 0.8
    column_share: float = 0.5
    l2: float = 10.0
    l1: float = 0.0
    max_bins: int = 256
    patience: int = 100
    seed: int = 20111231
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_trees", "max_depth", "patience", "max_bins"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} must be at least 1: found {getattr(self, name)}")
        for name in ("learning_rate", "row_share", "column_share"):
            if not 0 < getattr(self, name) <= 1:
                raise SettingError(f"{name} must be within (0, 1]: found {getattr(self, name)}")

    def least_leaf(self, n_defaults: int) -> float:
        """``min_child_weight`` for that many defaults in the train rows.

        >>> [round(GradientBoosting().least_leaf(n), 1) for n in (2, 25, 49, 64, 5000)]
        [1.0, 3.1, 11.7, 20.0, 20.0]
        """
        few = self.min_child_weight * (n_defaults / _FEW_DEFAULTS) ** 2
        return min(self.min_child_weight, max(few, 1.0))

    def fit(self, train: Sample | StreamedSample, tune: Sample, monotone: tuple[int, ...]) -> BoostedTrees:
        """Boost on ``train`` until ``patience`` trees brought no better log loss on ``tune``.

        A streamed sample's quantised matrix lies on disk meanwhile. The trees are those of the same rows held.
        """
        parameters = self._parameters(train.defaulted, monotone)
        options = {"max_bin": self.max_bins, "nthread": self._threads(len(train.defaulted))}
        if isinstance(train, Sample):
            import xgboost

            held = xgboost.QuantileDMatrix(train.matrix, label=train.defaulted, **options)
            return self._boost(held, tune, parameters, options)
        with TemporaryDirectory(prefix="training-matrix-", dir=train.directory) as cache:
            return self._boost(external_matrix(train, Path(cache), **options), tune, parameters, options)

    def _boost(
        self, train_data: "xgboost.DMatrix", tune: Sample, parameters: dict[str, Any], options: dict[str, Any]
    ) -> BoostedTrees:
        import xgboost

        tune_data = xgboost.QuantileDMatrix(tune.matrix, label=tune.defaulted, ref=train_data, **options)
        booster = xgboost.train(
            parameters,
            train_data,
            num_boost_round=self.max_trees,
            evals=[(tune_data, "tune")],
            early_stopping_rounds=self.patience,
            verbose_eval=False,
        )
        n_trees = booster.best_iteration + 1
        # one text for one model: the discarded trees and the stopping record would be part of its bytes
        booster = booster[:n_trees]
        booster.set_attr(best_iteration=None, best_score=None)
        return BoostedTrees(booster, n_trees)

    def _threads(self, n_rows: int) -> int:
        if self.threads is not None:
            return self.threads
        return 1 if n_rows < _MANY_ROWS else 0  # XGBoost's 0: every core

    def _parameters(self, defaulted: NDArray[np.bool_], monotone: tuple[int, ...]) -> dict[str, Any]:
        return {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "base_score": float(defaulted.mean()),
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.least_leaf(int(defaulted.sum())),
            "subsample": self.row_share,
            "colsample_bytree": self.column_share,
            "reg_lambda": self.l2,
            "reg_alpha": self.l1,
            "max_bin": self.max_bins,
            "monotone_constraints": "(" + ",".join(map(str, monotone)) + ")",
            "seed": self.seed,
            "nthread": self._threads(len(defaulted)),
        }


@dataclass(frozen=True)
class FittedLogistic:
    """A fitted logistic regression, its imputation and scaling inside."""

    pipeline: "Pipeline"

    def predict(self, matrix: Matrix) -> Floats:
        """Raw probabilities."""
        return np.asarray(self.pipeline.predict_proba(matrix.astype(np.float64))[:, 1], dtype=np.float64)


@dataclass(frozen=True)
class LogisticRegression:
    """The baseline: medians for missing values and an indicator of each, standardised columns, a mild ridge (``c``).

    Of a streamed sample it is fitted on 200,000 rows spread over all: a line through 50 columns needs no more.
    """

    c: float = 0.1

    def fit(self, train: Sample | StreamedSample, tune: Sample, monotone: tuple[int, ...]) -> FittedLogistic:
        """Fit on ``train``; needs neither ``tune`` nor directions."""
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        del tune, monotone
        matrix, defaulted = (train.matrix, train.defaulted) if isinstance(train, Sample) else train.drawn(_MANY_ROWS)
        pipeline = make_pipeline(
            # a column without a single value in train stays, as zeros, so that later rows still fit
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            StandardScaler(),
            SklearnLogisticRegression(C=self.c, max_iter=2000),
        )
        pipeline.fit(matrix.astype(np.float64), defaulted)
        return FittedLogistic(pipeline)
