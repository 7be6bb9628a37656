"""Proportional hazards by boosted trees: learns from every loan by the time in which it was observed.

A loan's hazard at the time t, in windows, is h0(t) · exp(f(x)), with an h0 of its vintage. Within its window it
defaults with the probability ``1 − exp(−H0(1) · exp(f))``. A loan observed until m contributes the likelihood of a
Poisson count with the mean ``H0(m) · exp(f)``, so boosting with XGBoost's ``count:poisson`` from ``log H0(m)`` fits f
(Holford 1980, "The analysis of rates and of survivorship using log-linear models"; Friedman 1982, "Piecewise
exponential models for survival data").
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ml.families.protocol import Sample, StreamedSample
from ml.families.tree_based.boosted_trees import BoostedTrees, GradientBoosting, Margin, cut_to_best, grown
from warehouse.errors import SettingError

if TYPE_CHECKING:
    import xgboost

Floats = NDArray[np.float64]
#: A logarithm needs a positive number.
_LEAST_HAZARD = 1e-9
#: Cells of time a window.
_STEPS = 120


@dataclass(frozen=True)
class Baseline:
    """The cumulative hazard of the mean loan, of a vintage or of all: a line through ``hazard`` at ``times``.

    Times are in windows. It begins at 0 and 0; beyond the last time it is flat, since nobody was observed there.
    """

    times: Floats
    hazard: Floats

    @classmethod
    def of(cls, rows: Sample | StreamedSample, mine: NDArray[np.bool_] | None = None) -> "Baseline":
        """Nelson and Aalen's estimate, from all rows or from those of ``mine``.

        At each time of a default it rises by the defaults over the loans still observed. Times are read on a grid of
        120 a window, since those that differ by the days in a month are one.

        >>> rows = Sample(np.zeros((4, 1)), np.array([1, 0, 1, 0], dtype=bool), observed=np.array([0.25, 0.5, 1, 1]))
        >>> Baseline.of(rows).at(np.array([0.25, 0.9, 1.0])).round(3)
        array([0.25, 0.25, 0.75])
        """
        mine = np.ones(len(rows.defaulted), dtype=np.bool_) if mine is None else mine
        observed, defaulted = _observed(rows)[mine], rows.defaulted[mine]
        weights = np.ones(len(observed)) if rows.weights is None else rows.weights[mine]
        n_cells = int(np.ceil(observed.max() * _STEPS)) + 1
        cell = np.minimum(np.ceil(np.round(observed * _STEPS, 6)).astype(np.intp), n_cells - 1)
        defaults = np.bincount(cell, weights=weights * defaulted, minlength=n_cells)
        leaving = np.bincount(cell, weights=weights, minlength=n_cells)
        at_risk = np.cumsum(leaving[::-1])[::-1]
        rises = np.divide(defaults, at_risk, out=np.zeros(n_cells), where=at_risk > 0)
        return cls(np.arange(n_cells) / _STEPS, np.cumsum(rises))

    def at(self, times: Floats) -> Floats:
        """The cumulative hazard at times in windows, of their shape; at least a billionth, as logarithms need."""
        return np.maximum(np.interp(times, self.times, self.hazard), _LEAST_HAZARD)


@dataclass(frozen=True)
class ProportionalHazards(GradientBoosting):
    """Boosted trees of the log hazard, with the contract's monotone directions; see the module.

    Settings are those of ``xgboost``, and ``most_windows``: for how many windows a loan is followed at most. A default
    beyond the window says something about the risk within it. The raw score is the log of the cumulative hazard within
    the window, which for small probabilities is nearly the log-odds; the calibration maps it.

    ``vintage_months``: loans decided within as many months have one baseline; 0: all have one. Open loans are the
    newest. With one baseline, where risk has fallen since the older loans, everything that only new loans have looks
    safe: a product of the last year, or a rate of the last months. With one for each vintage, the trees learn the order
    of loans of the same time (a stratified model: Kalbfleisch, Prentice 2002, ch. 4.4), and tune rows give the level.
    """

    name: ClassVar[str] = "hazard"
    learns_from_open: ClassVar[bool] = True

    most_windows: float = 3.0
    vintage_months: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.most_windows < 1:
            raise SettingError(f"most_windows must be at least 1: found {self.most_windows}")
        if self.vintage_months < 0:
            raise SettingError(f"vintage_months must be at least 0: found {self.vintage_months}")

    def fit(self, train: Sample | StreamedSample, tune: Sample, monotone: tuple[int, ...]) -> BoostedTrees:
        """Boost on ``train`` until ``patience`` trees bring no better likelihood of ``tune`` within its window."""
        import xgboost

        train, of_tune = self._followed(train), self._margin(tune)

        def boost(data: "xgboost.DMatrix", options: dict[str, Any]) -> "xgboost.Booster":
            tune_data = xgboost.QuantileDMatrix(
                tune.matrix, label=tune.defaulted, base_margin=of_tune(tune), ref=data, **options
            )
            return xgboost.train(
                self._of_hazard(train, monotone),
                data,
                num_boost_round=self.max_trees,
                evals=[(tune_data, "tune")],
                early_stopping_rounds=self.patience,
                verbose_eval=False,
            )

        return BoostedTrees(cut_to_best(self._grown(train, boost)))

    def refit(self, model: BoostedTrees, rows: Sample | StreamedSample, monotone: tuple[int, ...]) -> BoostedTrees:
        """Boost as many trees as ``model`` has."""
        import xgboost

        rows = self._followed(rows)
        parameters, n_trees = self._of_hazard(rows, monotone), model.booster.num_boosted_rounds()
        return BoostedTrees(self._grown(rows, lambda data, _: xgboost.train(parameters, data, n_trees)))

    def _grown(self, rows: Sample | StreamedSample, grow: Any) -> "xgboost.Booster":
        return grown(rows, grow, max_bins=self.max_bins, threads=self.threads, margin=self._margin(rows))

    def _margin(self, rows: Sample | StreamedSample) -> Margin:
        """The log of each loan's cumulative hazard by the baseline of its vintage."""
        vintages = self._vintages(rows)
        baselines = {int(each): Baseline.of(rows, vintages == each) for each in np.unique(vintages)}

        def margin(part: Sample) -> Floats:
            of_part, observed, hazard = self._vintages(part), _observed(part), np.empty(len(part.defaulted))
            for each, baseline in baselines.items():
                mine = of_part == each
                hazard[mine] = baseline.at(observed[mine])
            return np.log(hazard)

        return margin

    def _vintages(self, rows: Sample | StreamedSample) -> NDArray[np.int64]:
        if rows.vintage is None or self.vintage_months == 0:
            return np.zeros(len(rows.defaulted), dtype=np.int64)
        return rows.vintage // self.vintage_months

    def _followed(self, rows: Sample | StreamedSample) -> Sample | StreamedSample:
        """The rows, followed for ``most_windows``: a later default has not happened by then."""
        observed = _observed(rows)
        is_longer = observed > self.most_windows
        return replace(
            rows, defaulted=rows.defaulted & ~is_longer, observed=np.where(is_longer, self.most_windows, observed)
        )

    def _of_hazard(self, rows: Sample | StreamedSample, monotone: tuple[int, ...]) -> dict[str, Any]:
        # a row without a margin of its own begins at the whole window's of all vintages
        of_window = float(Baseline.of(rows).at(np.ones(1))[0])
        return {
            **self._parameters(rows, monotone),
            "objective": "count:poisson",
            "eval_metric": "poisson-nloglik",
            "base_score": of_window,
        }


def _observed(rows: Sample | StreamedSample) -> Floats:
    return np.ones(len(rows.defaulted)) if rows.observed is None else rows.observed
