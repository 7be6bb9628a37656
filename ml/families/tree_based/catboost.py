"""CatBoost: boosted oblivious trees, served in one form that needs no CatBoost."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ml.families.protocol import Dimension, Matrix, Sample, StreamedSample, log_odds
from ml.families.tree_based.boosted_trees import EXPLAINER, TWIN, GradientBoosting, ServedTrees, write_served
from ml.families.tree_based.ranges import require_counts, require_shares
from ml.trees.forest import Forest
from ml.trees.oblivious import forest_of
from ml.trees.onnx_twin import open_session, raw_scores, to_onnx
from warehouse.errors import SettingError

if TYPE_CHECKING:
    import catboost
    from onnxruntime import InferenceSession

_MOST_ROWS = 1_000_000
_MANY_ROWS = 200_000
_THREADS_FOR_MANY = 4


@dataclass(frozen=True)
class ObliviousTrees:
    """CatBoost's trees in float32; ``shares``: each column's importance, shape (n_columns,)."""

    forest: Forest
    shares: NDArray[np.float64]

    def raw_scores(self, matrix: Matrix) -> NDArray[np.float32]:
        """Log-odds, shape (n,), by the twin that is served."""
        return raw_scores(self._session, matrix)

    def importance(self, n_columns: int) -> NDArray[np.float64]:
        """For each column how far its splits move scores (CatBoost's PredictionValuesChange), as a share of all."""
        del n_columns
        return self.shares

    def write(self, directory: Path, columns: Sequence[str]) -> None:
        """Write the twin and the table of contributions."""
        del columns
        write_served(self.forest, directory)

    @cached_property
    def _session(self) -> "InferenceSession":
        return open_session(to_onnx(self.forest))


@dataclass(frozen=True)
class CatBoost:
    """CatBoost's oblivious trees on the columns of the design matrix, with the contract's monotone directions.

    ``max_trees`` is the ceiling; training stops after ``patience`` trees without a better tune log loss. ``row_share``
    is sampled for each tree, ``column_share`` for each level. ``noise``: CatBoost's ``random_strength``, on the scores
    of splits.

    **Missing values** count as the lowest. In a column with a direction they would be the safest or the riskiest of
    all; it has a second column, 1 where the value is missing, by which trees can tell them apart. In the forest both
    are tests of the one column.

    **One form.** CatBoost sums leaves in doubles, the ONNX twin in float32. The twin scores everywhere, from tune rows
    to requests, and its scores differ from CatBoost's by rounding alone.

    More than a million rows are fitted by as many, spread over all.

    **Few defaults** need no rule of their own: ``l2`` draws small leaves to 0, and no leaf has a least weight. Drawn
    from the simulated lender, five times each, with a third as many tune rows, tested on its test loans; AUC with its
    standard deviation:

    ==================  ============  ============  ============  ============
    train rows          CatBoost      ``l2`` 3      XGBoost       logistic
    ==================  ============  ============  ============  ============
    600, 25 defaults    .658 ± .038   .645 ± .052   .647 ± .057   .655 ± .040
    1,181, 49 defaults  .708 ± .009   .702 ± .012   .711 ± .009   .699 ± .012
    1,300, 60 defaults  .704 ± .013   .700 ± .011   .700 ± .010   .691 ± .004
    1,500, 80 defaults  .706 ± .010   .706 ± .010   .704 ± .011   .698 ± .013
    ==================  ============  ============  ============  ============

    ``threads``: None is one below 200,000 rows and four above, on any machine: another number gives other sums, and
    other trees.
    """

    name: ClassVar[str] = "catboost"
    files: ClassVar[tuple[str, ...]] = (TWIN, EXPLAINER)
    space: ClassVar[tuple[Dimension, ...]] = (
        Dimension("learning_rate", 0.02, 0.2, is_log=True),
        Dimension("max_depth", 2, 6, is_integer=True),
        Dimension("l2", 0.3, 300, is_log=True),
        Dimension("row_share", 0.4, 1.0),
        Dimension("column_share", 0.1, 1.0),
        Dimension("noise", 0.0, 3.0),
    )
    score_bound: ClassVar[float] = 0.0
    reasons_are_exact: ClassVar[bool] = True
    keeps_directions: ClassVar[bool] = True
    learns_from_open: ClassVar[bool] = False

    max_trees: int = 2000
    learning_rate: float = 0.03
    max_depth: int = 4
    l2: float = 10.0
    row_share: float = 0.8
    column_share: float = 0.5
    noise: float = 1.0
    max_bins: int = 255
    patience: int = 100
    seed: int = 20111231
    threads: int | None = None

    def __post_init__(self) -> None:
        require_counts(self, "max_trees", "patience", "threads")
        for name, least, most in (("max_depth", 1, 16), ("max_bins", 2, 65_536)):
            if not least <= getattr(self, name) <= most:
                raise SettingError(f"{name} must be within {least} and {most}: found {getattr(self, name)}")
        require_shares(self, "learning_rate", "row_share", "column_share")
        for name in ("l2", "noise"):
            if getattr(self, name) < 0:
                raise SettingError(f"{name} must be at least 0: found {getattr(self, name)}")

    def threads_for(self, n_rows: int) -> int:
        """CatBoost's ``thread_count`` for this number of train rows."""
        if self.threads is not None:
            return self.threads
        return 1 if n_rows < _MANY_ROWS else _THREADS_FOR_MANY

    def fit(self, train: Sample | StreamedSample, tune: Sample, monotone: tuple[int, ...]) -> ObliviousTrees:
        """Boost on ``train`` until ``patience`` trees bring no better log loss on ``tune``."""
        return self._boosted(train, monotone, tune=tune, n_trees=self.max_trees)

    def refit(self, model: ObliviousTrees, rows: Sample | StreamedSample, monotone: tuple[int, ...]) -> ObliviousTrees:
        """Boost as many trees as ``model`` has."""
        return self._boosted(rows, monotone, tune=None, n_trees=len(model.forest.trees))

    def _boosted(
        self, rows: Sample | StreamedSample, monotone: tuple[int, ...], *, tune: Sample | None, n_trees: int
    ) -> ObliviousTrees:
        sample, n_columns = rows.drawn(_MOST_ROWS), len(monotone)
        if not sample.varying.any() or n_trees == 0:
            # CatBoost refuses rows that are all alike
            return ObliviousTrees(Forest((), np.float32(log_odds(sample.default_rate)), n_columns), np.zeros(n_columns))
        missing_of = np.flatnonzero((np.array(monotone) != 0) & np.isnan(sample.matrix).any(axis=0))
        library = _library()
        # trees of balanced rows are judged at the level of tune rows. CatBoost then begins at no rate of its own
        begins = tune is not None and sample.natural_rate is not None
        begin = log_odds(sample.default_rate) if begins else 0.0

        def pool(some: Sample, begin: float) -> "catboost.Pool":
            columns = np.hstack([some.matrix, np.isnan(some.matrix[:, missing_of]).astype(np.float32)])
            baseline = np.full(len(some.defaulted), begin) if begins else None
            return library.Pool(columns, some.defaulted.astype(np.int8), weight=some.weights, baseline=baseline)

        model = library.CatBoost(
            {
                "loss_function": "Logloss",
                "boosting_type": "Plain",
                "boost_from_average": not begins,
                "iterations": n_trees,
                "learning_rate": self.learning_rate,
                "depth": self.max_depth,
                "l2_leaf_reg": self.l2,
                "bootstrap_type": "Bernoulli" if self.row_share < 1 else "No",
                **({"subsample": self.row_share} if self.row_share < 1 else {}),
                "rsm": self.column_share,
                "random_strength": self.noise,
                "border_count": self.max_bins - 1,
                "nan_mode": "Min",
                "monotone_constraints": [*monotone, *[0] * len(missing_of)],
                "random_seed": self.seed,
                "thread_count": self.threads_for(len(sample.defaulted)),
                "logging_level": "Silent",
                "allow_writing_files": False,
            }
        )
        tuning = {}
        if tune is not None:
            judged = pool(tune, begin + sample.to_natural)
            tuning = {"eval_set": judged, "early_stopping_rounds": self.patience}
        model.fit(pool(sample, begin), use_best_model=tune is not None, **tuning)
        shares = np.array(model.get_feature_importance(type="PredictionValuesChange"), dtype=np.float64)
        np.add.at(shares, missing_of, shares[n_columns:])
        shares = shares[:n_columns]
        total = shares.sum()
        forest = forest_of(_exported(model), n_columns=n_columns, missing_of=missing_of.tolist())
        if begins:
            forest = replace(forest, base_margin=np.float32(float(forest.base_margin) + begin))
        return ObliviousTrees(forest, shares / total if total > 0 else shares)

    @staticmethod
    def packages() -> dict[str, str]:
        """CatBoost, which is not imported for its version: that takes two seconds."""
        return {"catboost": version("catboost")}

    @staticmethod
    def read(directory: Path) -> ServedTrees:
        """The served form: there is one form."""
        return GradientBoosting.open(directory)

    @staticmethod
    def open(directory: Path) -> ServedTrees:
        """The twin and the explainer."""
        return GradientBoosting.open(directory)


def _library() -> Any:
    try:
        import catboost
    except ImportError:
        raise SettingError(
            "the family catboost is trained by CatBoost, which is not installed: pip install 'loanlake[catboost]'"
        ) from None
    return catboost


def _exported(model: "catboost.CatBoost") -> Any:
    """The model's JSON, in which each border is an exact float32 and each leaf an exact double."""
    with TemporaryDirectory(prefix="catboost-") as directory:
        path = Path(directory) / "model.json"
        model.save_model(str(path), format="json")
        return json.loads(path.read_text(encoding="utf-8"))
