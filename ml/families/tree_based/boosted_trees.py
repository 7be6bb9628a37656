"""XGBoost: boosted trees for blocks of rows; their ONNX twin and a table of contributions for single ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ml.families.protocol import Dimension, Matrix, Sample, StreamedSample, log_odds
from ml.families.tree_based.on_spark import Tuning, grown_on_spark
from ml.families.tree_based.ranges import require_counts, require_shares
from ml.trees.explain import Explainer
from ml.trees.forest import Forest
from ml.trees.onnx_twin import OneRow, open_session, raw_scores, to_onnx

if TYPE_CHECKING:
    import xgboost
    from onnxruntime import InferenceSession

_MANY_ROWS = 200_000
#: Below this number of defaults the least leaf shrinks.
_FEW_DEFAULTS = 64
#: Where the sum of a row's trees begins, shape (n,), for rows of a sample.
Margin = Callable[[Sample], NDArray[np.float64]]
BOOSTER, TWIN, EXPLAINER = "booster.ubj", "model.onnx", "explainer.npz"


@dataclass(frozen=True)
class BoostedTrees:
    """A booster; a fitted one is cut to the number of trees that did best on tune rows."""

    booster: "xgboost.Booster"

    def raw_scores(self, matrix: Matrix) -> NDArray[np.float32]:
        """Log-odds, shape (n,)."""
        return np.asarray(self.booster.inplace_predict(matrix, predict_type="margin"), dtype=np.float32)

    def importance(self, n_columns: int) -> NDArray[np.float64]:
        """For each column the training loss its splits removed, as a share of all."""
        total = np.zeros(n_columns)
        for name, value in self.booster.get_score(importance_type="total_gain").items():
            total[int(name[1:])] = value
        return total / total.sum() if total.sum() > 0 else total

    def to_bytes(self) -> bytes:
        """The booster in UBJSON; equal training sets and settings give equal bytes."""
        return bytes(self.booster.save_raw("ubj"))

    def write(self, directory: Path, columns: Sequence[str]) -> None:
        """Write the booster, its ONNX twin, and its table of contributions."""
        del columns
        (directory / BOOSTER).write_bytes(self.to_bytes())
        write_served(Forest.from_booster(self.booster), directory)


@dataclass(frozen=True)
class ServedTrees:
    """The trees without the library that grew them."""

    session: "InferenceSession"
    explainer: Explainer

    def raw_scores(self, matrix: Matrix) -> NDArray[np.float32]:
        """Log-odds, shape (n,), equal to those of the model that was written, to the bit."""
        return self._one_row.raw_scores(matrix) if len(matrix) == 1 else raw_scores(self.session, matrix)

    @cached_property
    def _one_row(self) -> OneRow:
        return OneRow(self.session)

    @staticmethod
    def points(raw_scores: NDArray[np.float32]) -> None:
        """None: this family has no points."""
        del raw_scores

    @staticmethod
    def points_of_one(raw_score: float) -> None:
        """None, likewise."""
        del raw_score

    @property
    def expected(self) -> float:
        """The mean raw score over the training cover."""
        return self.explainer.expected

    def contributions(self, row: NDArray[np.float32]) -> NDArray[np.float64]:
        """Exact TreeSHAP, shape (n_columns,)."""
        return self.explainer.contributions(row)


def write_served(forest: Forest, directory: Path) -> None:
    """Write the files of :class:`ServedTrees`."""
    (directory / TWIN).write_bytes(to_onnx(forest))
    with (directory / EXPLAINER).open("wb") as file:
        # uncompressed: a megabyte or more, read at every start and swap
        np.savez(file, allow_pickle=False, **Explainer.from_forest(forest).to_arrays())


@dataclass(frozen=True)
class GradientBoosting:
    """XGBoost by histogram, with the contract's monotone constraints.

    ``max_trees`` is the ceiling; training stops after ``patience`` trees without a better tune log loss. ``row_share``
    and ``column_share``, of the columns that vary among the rows, are sampled anew for each tree.

    The defaults were chosen on rows before 2011 H2 of Lending Club (trained to 2009, tested on 2010 H2; trained to 2010
    H1, tested on 2011 H1), two folds of UCI, and the true probabilities of the simulated lender: depths 2 to 5, shares
    .3 to .8 and heavier penalties were within .003 AUC of each other, these best or second on all but the last.

    **Few defaults.** ``min_child_weight`` is the least weight of a leaf, about its expected number of defaults. With 49
    defaults in 1,181 rows a leaf of 20 leaves no split, and the model was a constant of AUC .500. Below 64 defaults in
    the train rows it shrinks with their square (:meth:`least_leaf`). Drawn from the simulated lender, five times each,
    tested on the same 555 loans:

    ==================  ==========  ============  ========
    train rows          20, always  least_leaf    logistic
    ==================  ==========  ============  ========
    600, 25 defaults    .500        .680 ± .015   .568
    1,181, 49 defaults  .500        .701 ± .026   .592
    1,300, 60 defaults              .715 ± .015   .583
    1,500, 80 defaults  .715        as with 20    .592
    ==================  ==========  ============  ========

    A tenth, a fifth and 4/15 of the defaults gave the same within .007. Depths 1 to 3, a lower learning rate and a
    lower ``l2`` were within .015, none better by more than noise.

    ``threads``: None is one below 200,000 train rows and every core above. On 21,000 × 64 one thread took 7 s of
    processor time and two took 32 s, mostly waiting. The booster's bytes are the same.

    ``spark_workers``: None boosts in this process. A number boosts in as many tasks of Apache Spark
    (:mod:`ml.families.tree_based.on_spark`): one gives the same bytes, several another model.
    """

    name: ClassVar[str] = "xgboost"
    files: ClassVar[tuple[str, ...]] = (BOOSTER, TWIN, EXPLAINER)
    space: ClassVar[tuple[Dimension, ...]] = (
        Dimension("learning_rate", 0.02, 0.2, is_log=True),
        Dimension("max_depth", 2, 7, is_integer=True),
        Dimension("min_child_weight", 1, 200, is_log=True),
        Dimension("row_share", 0.4, 1.0),
        Dimension("column_share", 0.2, 1.0),
        Dimension("l2", 0.1, 100, is_log=True),
    )
    score_bound: ClassVar[float] = 0.0
    reasons_are_exact: ClassVar[bool] = True
    keeps_directions: ClassVar[bool] = True
    learns_from_open: ClassVar[bool] = False

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
    spark_workers: int | None = None

    def __post_init__(self) -> None:
        require_counts(self, "max_trees", "max_depth", "patience", "max_bins", "spark_workers")
        require_shares(self, "learning_rate", "row_share", "column_share")

    def least_leaf(self, n_defaults: int) -> float:
        """``min_child_weight`` for this number of defaults in the train rows.

        >>> [round(GradientBoosting().least_leaf(n), 1) for n in (2, 25, 49, 64, 5000)]
        [1.0, 3.1, 11.7, 20.0, 20.0]
        """
        few = self.min_child_weight * (n_defaults / _FEW_DEFAULTS) ** 2
        return min(self.min_child_weight, max(few, 1.0))

    def fit(self, train: Sample | StreamedSample, tune: Sample, monotone: tuple[int, ...]) -> BoostedTrees:
        """Boost on ``train`` until ``patience`` trees bring no better log loss on ``tune``.

        A streamed sample's quantised matrix lies on disk; the trees are the same as in memory.
        """
        import xgboost

        # trees of balanced rows are judged at the level of tune rows
        level = None if train.natural_rate is None else log_odds(train.natural_rate)
        if self.spark_workers is not None:
            tuning = Tuning(tune, self.patience, begin=level, train_begin=log_odds(train.default_rate))
            return BoostedTrees(cut_to_best(self._on_spark(train, monotone, self.max_trees, tuning)))
        begin = None if level is None else np.full(len(tune.defaulted), level)

        def boost(data: "xgboost.DMatrix", options: dict[str, Any]) -> "xgboost.Booster":
            tune_data = xgboost.QuantileDMatrix(
                tune.matrix, label=tune.defaulted, base_margin=begin, ref=data, **options
            )
            return xgboost.train(
                self._parameters(train, monotone),
                data,
                num_boost_round=self.max_trees,
                evals=[(tune_data, "tune")],
                early_stopping_rounds=self.patience,
                verbose_eval=False,
            )

        booster = grown(train, boost, max_bins=self.max_bins, threads=self.threads)
        return BoostedTrees(cut_to_best(booster))

    def refit(self, model: BoostedTrees, rows: Sample | StreamedSample, monotone: tuple[int, ...]) -> BoostedTrees:
        """Boost as many trees as ``model`` has."""
        import xgboost

        parameters, n_trees = self._parameters(rows, monotone), model.booster.num_boosted_rounds()
        if self.spark_workers is not None:
            return BoostedTrees(self._on_spark(rows, monotone, n_trees))
        booster = grown(
            rows,
            lambda data, _: xgboost.train(parameters, data, n_trees),
            max_bins=self.max_bins,
            threads=self.threads,
        )
        return BoostedTrees(booster)

    def packages(self) -> dict[str, str]:
        """XGBoost, whose distribution is named xgboost or xgboost-cpu, by platform; PySpark, if it boosts there."""
        import xgboost

        found = {"xgboost": str(xgboost.__version__)}
        if self.spark_workers is not None:
            import pyspark

            found["pyspark"] = str(pyspark.__version__)
        return found

    @staticmethod
    def read(directory: Path) -> BoostedTrees:
        """The booster on one thread: no thread waits inside a prediction."""
        import xgboost

        booster = xgboost.Booster(model_file=str(directory / BOOSTER))
        booster.set_param({"nthread": 1})
        return BoostedTrees(booster)

    @staticmethod
    def open(directory: Path) -> ServedTrees:
        """The twin and the explainer."""
        with np.load(directory / EXPLAINER, allow_pickle=False) as arrays:
            return ServedTrees(open_session((directory / TWIN).read_bytes()), Explainer.from_arrays(arrays))

    def _on_spark(
        self, rows: Sample | StreamedSample, monotone: tuple[int, ...], n_trees: int, tuning: Tuning | None = None
    ) -> "xgboost.Booster":
        return grown_on_spark(
            rows, self._parameters(rows, monotone), n_trees=n_trees, workers=self.spark_workers or 1, tuning=tuning
        )

    def _parameters(self, rows: Sample | StreamedSample, monotone: tuple[int, ...]) -> dict[str, Any]:
        return {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "base_score": rows.default_rate,
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.least_leaf(int(rows.defaulted.sum())),
            "subsample": self.row_share,
            "colsample_bytree": share_of_all(self.column_share, rows.varying),
            "reg_lambda": self.l2,
            "reg_alpha": self.l1,
            "max_bin": self.max_bins,
            "monotone_constraints": directions(monotone),
            "seed": self.seed,
            "nthread": threads_for(rows, self.threads),
        }


def cut_to_best(booster: "xgboost.Booster") -> "xgboost.Booster":
    """The trees up to the best iteration: equal models, equal bytes, and the others would be part of them."""
    cut = booster[: booster.best_iteration + 1]
    cut.set_attr(best_iteration=None, best_score=None)
    return cut


def threads_for(rows: Sample | StreamedSample, threads: int | None) -> int:
    """XGBoost's ``nthread``: as set, else one thread for few rows and every core (0) for many."""
    if threads is not None:
        return threads
    return 1 if len(rows.defaulted) < _MANY_ROWS else 0


def directions(monotone: tuple[int, ...]) -> str:
    """XGBoost's ``monotone_constraints``."""
    return f"({','.join(map(str, monotone))})"


def share_of_all(share: float, varying: NDArray[np.bool_]) -> float:
    """XGBoost draws a share of all columns; this one is ``share`` of those that vary, and :func:`grown` draws no other.

    A lender fills some features of a version only. Its empty columns would be drawn in place of full ones: with the
    eight features of statements, which Lending Club does not have, each tree would see fewer of the others.

    >>> share_of_all(0.5, np.array([True, True, False, False]))
    0.25
    """
    return share * float(varying.mean()) if varying.any() else share


def grown(
    rows: Sample | StreamedSample,
    grow: "Callable[[xgboost.DMatrix, dict[str, Any]], xgboost.Booster]",
    *,
    max_bins: int,
    threads: int | None,
    margin: Margin | None = None,
) -> "xgboost.Booster":
    """What ``grow`` makes of XGBoost's quantised matrix of the rows, and the options of such matrices.

    ``margin``: where the trees' sum begins for each row; None: at one number for all.
    """
    import xgboost

    options = {"max_bin": max_bins, "nthread": threads_for(rows, threads)}
    # without constant columns XGBoost need not weigh any
    drawn = None if rows.varying.all() or not rows.varying.any() else rows.varying.astype(np.float32)
    if isinstance(rows, Sample):
        begin = None if margin is None else margin(rows)
        data = xgboost.QuantileDMatrix(
            rows.matrix,
            label=rows.defaulted,
            weight=rows.weights,
            base_margin=begin,
            feature_weights=drawn,
            **options,
        )
        return grow(data, options)
    with TemporaryDirectory(prefix="training-matrix-", dir=rows.directory) as cache:
        # held by nothing here: the matrix must go before its files
        return grow(_external_matrix(rows, Path(cache), margin, drawn, **options), options)


def _external_matrix(
    sample: StreamedSample, cache: Path, margin: Margin | None, drawn: NDArray[np.float32] | None, **options: Any
) -> "xgboost.ExtMemQuantileDMatrix":
    """XGBoost's quantised matrix of rows that are encoded in batches, in files under ``cache``, which must outlive it.

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
            begin = None if margin is None else margin(found)
            input_data(
                data=found.matrix,
                label=found.defaulted,
                weight=found.weights,
                base_margin=begin,
                feature_weights=drawn,
            )
            return True

        def reset(self) -> None:
            self._batches = sample.batches()

    return xgboost.ExtMemQuantileDMatrix(Rows(), **options)
