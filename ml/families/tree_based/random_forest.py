"""Random forest: trees of other rows and columns each, averaged. XGBoost grows it, and boosted trees serve it."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ml.families.protocol import Dimension, Sample, StreamedSample
from ml.families.tree_based.boosted_trees import (
    BOOSTER,
    EXPLAINER,
    TWIN,
    BoostedTrees,
    GradientBoosting,
    ServedTrees,
    directions,
    grown,
    share_of_all,
    threads_for,
)
from ml.families.tree_based.ranges import require_counts, require_shares


@dataclass(frozen=True)
class RandomForest:
    """XGBoost's trees in parallel, one round of them, with the contract's monotone directions.

    ``row_share``: the share of the rows that each tree sees, drawn without putting back; .632 is what a bootstrap
    sample would hold. ``column_share``: of the columns that vary among the rows, drawn anew at each node. ``min_leaf``:
    the least weight of a leaf; a row weighs p(1 - p) for the mean default rate p.

    Trees are as deep as a table of contributions allows (:mod:`ml.trees.explain`): on Lending Club a hundred trees of
    depth 8 need 13 million numbers, and each row's reasons 12 ms; those of depth 6 need 1.2 million and 0.06 ms. The
    AUC on the test loans is .7050 with depth 6 and .7043 with depth 8 (200 trees: .7042; 12,493 loans of 2011 H2).
    scikit-learn's forest had .7090 there without directions, in 14 s of processor time.
    """

    name: ClassVar[str] = "random_forest"
    files: ClassVar[tuple[str, ...]] = (BOOSTER, TWIN, EXPLAINER)
    #: No deeper than the default: reasons would be too slow.
    space: ClassVar[tuple[Dimension, ...]] = (
        Dimension("max_depth", 3, 6, is_integer=True),
        Dimension("min_leaf", 1, 100, is_log=True),
        Dimension("row_share", 0.3, 1.0),
        Dimension("column_share", 0.05, 0.6, is_log=True),
    )
    score_bound: ClassVar[float] = 0.0
    reasons_are_exact: ClassVar[bool] = True
    keeps_directions: ClassVar[bool] = True
    learns_from_open: ClassVar[bool] = False

    n_trees: int = 100
    max_depth: int = 6
    min_leaf: float = 5.0
    row_share: float = 0.632
    column_share: float = 0.1
    max_bins: int = 256
    seed: int = 20111231
    threads: int | None = None

    def __post_init__(self) -> None:
        require_counts(self, "n_trees", "max_depth", "max_bins")
        require_shares(self, "row_share", "column_share")

    def fit(self, train: Sample | StreamedSample, tune: Sample, monotone: tuple[int, ...]) -> BoostedTrees:
        """Grow all trees on ``train``; ``tune`` is not needed."""
        del tune
        return self._fit(train, monotone)

    def refit(self, model: BoostedTrees, rows: Sample | StreamedSample, monotone: tuple[int, ...]) -> BoostedTrees:
        """Grow other trees, since tune rows decide nothing."""
        del model
        return self._fit(rows, monotone)

    def _fit(self, rows: Sample | StreamedSample, monotone: tuple[int, ...]) -> BoostedTrees:
        import xgboost

        parameters = {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "base_score": rows.default_rate,
            "num_parallel_tree": self.n_trees,
            "learning_rate": 1.0,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_leaf,
            "subsample": self.row_share,
            "colsample_bynode": share_of_all(self.column_share, rows.varying),
            "reg_lambda": 0.0,
            "max_bin": self.max_bins,
            "monotone_constraints": directions(monotone),
            "seed": self.seed,
            "nthread": threads_for(rows, self.threads),
        }
        booster = grown(
            rows, lambda data, _: xgboost.train(parameters, data, 1), max_bins=self.max_bins, threads=self.threads
        )
        return BoostedTrees(booster)

    @staticmethod
    def packages() -> dict[str, str]:
        """XGBoost."""
        return GradientBoosting().packages()

    @staticmethod
    def read(directory: Path) -> BoostedTrees:
        """The booster on one thread."""
        return GradientBoosting.read(directory)

    @staticmethod
    def open(directory: Path) -> ServedTrees:
        """The twin and the explainer."""
        return GradientBoosting.open(directory)
