"""Scorecard: each value falls into a bin, each bin has whole points, and their sum is the score.

The points are compiled arithmetic of NumPy, the same for one row and many. A card is exact: its printed points are all
that the model knows (:mod:`ml.families.linear.scorecard_table` prints it).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.families.linear.linear_fit import Floats, least_loss
from ml.families.linear.scorecard_table import Bins, card_csv, card_html, card_rows, weight_of_evidence
from ml.families.protocol import Dimension, Matrix, Sample, StreamedSample
from warehouse.errors import SettingError

CARD, CARD_CSV, CARD_HTML = "scorecard.json", "scorecard.csv", "scorecard.html"
_MOST_ROWS = 1_000_000
#: Which way the default rate goes over a column's bins, by the column's direction of risk.
_TRENDS = {1: "ascending", -1: "descending", 0: "auto"}


@dataclass(frozen=True)
class PointsModel:
    """Points by bin, and what a sum of points means.

    A total of ``offset`` points is log-odds of 0; each ``factor`` points more lower the log-odds of default by 1.
    """

    base: int
    offset: float
    factor: float
    columns: tuple[Bins, ...]

    def raw_scores(self, matrix: Matrix) -> NDArray[np.float32]:
        """Log-odds, shape (n,): whole points are added, so a row has the same bits alone and among others."""
        if len(matrix) == 1:  # the same arithmetic; NumPy on one value takes twice as long
            column, edges, gained = self._steps
            total = float((matrix[0].take(column) >= edges) @ gained) + self._all_missing
            return np.array([(self.offset - total) / self.factor], dtype=np.float32)
        return ((self.offset - self._totals(matrix)) / self.factor).astype(np.float32)

    def totals(self, matrix: Matrix) -> NDArray[np.int64]:
        """Points of whole rows, shape (n,)."""
        return self._totals(matrix).astype(np.int64)

    def _totals(self, matrix: Matrix) -> Floats:
        # sums of whole numbers, exact in float64 in any order: one product for one row and for many
        column, edges, gained = self._steps
        return np.asarray((matrix.take(column, axis=1) >= edges) @ gained + self._all_missing)

    def points(self, raw_scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """The totals behind raw scores: float32 tells totals apart up to some ten million points."""
        return np.rint(self.offset - raw_scores.astype(np.float64) * self.factor).astype(np.int64)

    def points_of_one(self, raw_score: float) -> int:
        """One value, equal to what :meth:`points` gives it, in a tenth of the time."""
        return round(self.offset - raw_score * self.factor)

    @property
    def expected(self) -> float:
        """The raw score with the most points in each column, where contributions start."""
        return float((self.offset - self.base - self._best.sum()) / self.factor)

    def contributions(self, row: NDArray[np.float32]) -> Floats:
        """Points lost against each column's best bin, in log-odds: exact, and never negative."""
        column, edges, gained = self._steps
        reached = np.bincount(column, (row.take(column) >= edges) * gained, minlength=len(row))
        return np.asarray((self._lost_if_missing - reached) / self.factor)

    def importance(self, n_columns: int) -> Floats:
        """The columns' shares of all information value."""
        values = np.array([bins.information_value if any(bins.points) else 0.0 for bins in self.columns])
        del n_columns
        return values / values.sum() if values.sum() > 0 else values

    def write(self, directory: Path, columns: Sequence[str]) -> None:
        """Write the card as JSON, and as people read it: CSV and HTML."""
        (directory / CARD).write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        rows = card_rows(columns, self.columns)
        (directory / CARD_CSV).write_text(card_csv(rows, self.base), encoding="utf-8")
        (directory / CARD_HTML).write_text(card_html(rows, self.base, self.factor * log(2)), encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> Self:
        """The inverse of :meth:`write`; raises KeyError or TypeError for another file."""
        data: dict[str, Any] = json.loads((directory / CARD).read_text(encoding="utf-8"))
        columns = tuple(Bins(**{name: tuple(value) for name, value in each.items()}) for each in data.pop("columns"))
        return cls(columns=columns, **data)

    @cached_property
    def _steps(self) -> tuple[NDArray[np.intp], NDArray[np.float32], Floats]:
        """Of each edge its column, the value, and the points gained by reaching it; shape (n_edges,).

        Each column that gives or takes points begins with an edge at minus infinity, which every value reaches except a
        missing one: a row then needs one comparison and one product. Of 84 columns of Lending Club 28 are left; a row
        takes 9 microseconds in place of 24, and its contributions 9 in place of 19.
        """
        steps = [
            (column, edge, after - before)
            for column, bins in enumerate(self.columns)
            if any(bins.points)
            for edge, (before, after) in zip(
                (-np.inf, *_at_single_precision(bins.edges)),
                pairwise((bins.points[-1], *bins.points[:-1])),
                strict=True,
            )
        ]
        column, edges, gained = zip(*steps, strict=True) if steps else ((), (), ())
        return np.array(column, np.intp), np.array(edges, np.float32), np.array(gained, np.float64)

    @cached_property
    def _all_missing(self) -> float:
        """Points of a row without any value, which reaches no edge."""
        return float(self.base + sum(bins.points[-1] for bins in self.columns))

    @cached_property
    def _best(self) -> Floats:
        return np.array([max(bins.points) for bins in self.columns], dtype=np.float64)

    @cached_property
    def _lost_if_missing(self) -> Floats:
        return self._best - np.array([bins.points[-1] for bins in self.columns], dtype=np.float64)


@dataclass(frozen=True)
class Scorecard:
    """Optimal bins by column (OptBinning), weights of evidence, a ridge on their log-odds, and whole points.

    ``max_bins``, ``min_bin_share``: most bins of a column, and the least share of the train rows in one. ``l2``: weight
    of the ridge. ``base_points`` stand for odds of ``base_odds`` repaid loans to one default; ``points_to_double``
    points more double these odds.

    A column's default rate goes one way over its bins: the contract's direction where it states one, else whichever
    way fits, also with one turn. No weight is negative, so the points go the same way. Missing values have a bin of
    their own; if the train rows have none, it has no points.

    More than a million rows are fitted by as many, spread over all.
    """

    name: ClassVar[str] = "scorecard"
    files: ClassVar[tuple[str, ...]] = (CARD, CARD_CSV, CARD_HTML)
    space: ClassVar[tuple[Dimension, ...]] = (
        Dimension("max_bins", 3, 10, is_integer=True),
        Dimension("min_bin_share", 0.02, 0.15, is_log=True),
        Dimension("l2", 0.1, 1000, is_log=True),
    )
    score_bound: ClassVar[float] = 0.0
    reasons_are_exact: ClassVar[bool] = True
    keeps_directions: ClassVar[bool] = True
    learns_from_open: ClassVar[bool] = False

    max_bins: int = 6
    min_bin_share: float = 0.05
    l2: float = 10.0
    base_points: int = 600
    base_odds: float = 50.0
    points_to_double: float = 20.0

    def __post_init__(self) -> None:
        if not 2 <= self.max_bins <= 50:
            raise SettingError(f"max_bins must be within 2 and 50: found {self.max_bins}")
        if not 0 < self.min_bin_share <= 0.5:
            raise SettingError(f"min_bin_share must be above 0 and at most 0.5: found {self.min_bin_share}")
        for name in ("l2", "base_odds", "points_to_double"):
            if getattr(self, name) <= 0:
                raise SettingError(f"{name} must be above 0: found {getattr(self, name)}")

    def fit(self, train: Sample | StreamedSample, tune: Sample, monotone: tuple[int, ...]) -> PointsModel:
        """Fit on ``train``; ``tune`` is not needed."""
        del tune
        return self._fit(train, monotone)

    def refit(self, model: PointsModel, rows: Sample | StreamedSample, monotone: tuple[int, ...]) -> PointsModel:
        """Fit again, since tune rows decide nothing."""
        del model
        return self._fit(rows, monotone)

    def _fit(self, rows: Sample | StreamedSample, monotone: tuple[int, ...]) -> PointsModel:
        sample = rows.drawn(_MOST_ROWS)
        binned = [
            self._binned(values, sample, direction) for values, direction in zip(sample.matrix.T, monotone, strict=True)
        ]
        evidence = np.column_stack([np.array(bins.woe)[place] for bins, place in binned])
        bounds = [*[(0.0, None)] * len(binned), (None, None)]
        weights, intercept = least_loss(evidence, sample, bounds, self.l2)

        factor = self.points_to_double / log(2)
        offset = self.base_points - factor * log(self.base_odds)
        columns = tuple(
            Bins(
                edges=bins.edges,
                points=tuple(round(-factor * weight * woe) for woe in bins.woe),
                n_rows=bins.n_rows,
                n_defaults=bins.n_defaults,
                woe=bins.woe,
            )
            for (bins, _), weight in zip(binned, weights, strict=True)
        )
        return PointsModel(base=round(offset - factor * intercept), offset=offset, factor=factor, columns=columns)

    def _binned(self, values: NDArray[np.float32], sample: Sample, direction: int) -> tuple[Bins, NDArray[np.intp]]:
        """A column's bins, not yet with points, and each row's bin; rows weigh in the evidence, not in the counts."""
        known, defaulted = ~np.isnan(values), sample.defaulted
        weights = np.ones(len(values)) if sample.weights is None else sample.weights
        edges = self._edges(values[known].astype(np.float64), defaulted[known], weights[known], direction)
        place = np.where(known, np.searchsorted(edges, values, side="right"), len(edges) + 1)

        def counted(of_rows: NDArray[Any]) -> NDArray[np.float64]:
            return np.bincount(place, of_rows, minlength=len(edges) + 2).astype(np.float64)

        bins = Bins(
            edges=tuple(edges.tolist()),
            points=(),
            n_rows=tuple(counted(np.ones(len(values))).astype(int).tolist()),
            n_defaults=tuple(counted(defaulted).astype(int).tolist()),
            woe=tuple(weight_of_evidence(counted(weights * defaulted), counted(weights * ~defaulted)).tolist()),
        )
        return bins, place

    def _edges(self, values: Floats, defaulted: NDArray[np.bool_], weights: Floats, direction: int) -> Floats:
        if len(values) == 0 or values.min() == values.max() or defaulted.all() or not defaulted.any():
            return np.array([])
        try:
            from optbinning import OptimalBinning
        except ImportError:
            raise SettingError(
                "the family scorecard finds its bins with OptBinning, which is not installed: "
                "pip install 'loanlake[scorecard]'"
            ) from None
        found = OptimalBinning(
            dtype="numerical",
            solver="mip",
            monotonic_trend=_TRENDS[direction],
            max_n_bins=self.max_bins,
            min_bin_size=self.min_bin_share,
        ).fit(values, defaulted, sample_weight=weights)
        return np.unique(_at_single_precision(found.splits)).astype(np.float64)

    @staticmethod
    def packages() -> dict[str, str]:
        """OptBinning, which finds the bins, and SciPy, whose optimiser fits the weights."""
        from importlib.metadata import version

        return {"optbinning": version("optbinning"), "scipy": version("scipy")}

    @staticmethod
    def read(directory: Path) -> PointsModel:
        """The card."""
        return PointsModel.read(directory)

    @staticmethod
    def open(directory: Path) -> PointsModel:
        """The same card."""
        return PointsModel.read(directory)


def _at_single_precision(edges: ArrayLike) -> NDArray[np.float32]:
    """Each edge raised to the next float32: the same values lie below it, since a matrix has float32, and its shortest
    text on the card reads back as the same edge.
    """
    exact = np.asarray(edges, dtype=np.float64)
    near = exact.astype(np.float32)
    return np.where(near < exact, np.nextafter(near, np.float32(np.inf)), near)
