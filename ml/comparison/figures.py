"""The figures of a comparison: one row a model, and one a model and month, as the lake keeps them."""

import json
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from math import isnan
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ml.bundle.scorer import Scores
from ml.calibration.calibrators import uncalibrated
from ml.comparison.contenders import Contender, Floats
from ml.comparison.serving_cost import microseconds, model_bytes
from ml.comparison.stability import gini_trend
from ml.folds.plan import FoldKind
from ml.judging.evaluation import BASE_RATE, compare
from ml.judging.intervals import Intervals, measure_intervals
from ml.judging.metrics import (
    Metrics,
    PairedDifference,
    SplitKind,
    auc_difference,
    brier_parts,
    ece,
    h_measure,
    measure,
)
from ml.monitoring.drift import score_psi
from ml.training.fitting import TrainingSettings
from ml.training.policy import CutOffRule

Verdict = Literal["better", "worse", "no gain"]


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """What all rows of a comparison have in common.

    ``compared_with``: the model of the paired differences. ``n_known_later``: train and tune rows whose outcome became
    known only after the first test loan was decided. ``fold_kind``: see :mod:`ml.folds.plan`; None without folds.
    """

    comparison_id: str
    source: str
    compared_at: datetime
    compared_by: str
    compared_with: str
    split_kind: SplitKind
    n_train: int
    n_tune: int
    n_test: int
    n_test_defaults: int
    n_known_later: int
    lake_snapshot: int
    feature_version: str
    training_set_sha256: str
    fold_kind: FoldKind | None = None
    n_folds: int = 0


@dataclass(frozen=True, kw_only=True)
class ModelFigures:
    """One row of ``models.comparison`` besides its :class:`Occasion`.

    ``model``: a family, a family with ``imbalance`` such as ``xgboost_smote``, ``champion`` or ``base_rate``. A figure
    that the model or the rows cannot give is None. Differences are this model's figure minus that of ``compared_with``,
    those of ``imbalance_…`` minus that of the same family without it. ``raw_…``: before calibration. ``…_fold_mean``,
    ``…_fold_spread``: mean and standard deviation over the folds.
    """

    model: str
    family: str | None = None
    imbalance: str | None = None
    model_version: int | None = None
    feature_version: str | None = None
    settings: str | None = None
    n_test_seen: int = 0
    auc: float | None = None
    auc_low: float | None = None
    auc_high: float | None = None
    auc_difference: float | None = None
    auc_difference_low: float | None = None
    auc_difference_high: float | None = None
    gini: float | None = None
    ks: float | None = None
    h_measure: float | None = None
    imbalance_auc_difference: float | None = None
    imbalance_auc_difference_low: float | None = None
    imbalance_auc_difference_high: float | None = None
    brier: float | None = None
    brier_difference: float | None = None
    brier_difference_low: float | None = None
    brier_difference_high: float | None = None
    brier_reliability: float | None = None
    brier_resolution: float | None = None
    brier_uncertainty: float | None = None
    log_loss: float | None = None
    ece: float | None = None
    ece_by_chance: float | None = None
    raw_ece: float | None = None
    raw_mean_probability: float | None = None
    mean_probability: float | None = None
    default_rate: float | None = None
    cut_off: float | None = None
    decline_rate: float | None = None
    refer_rate: float | None = None
    interval_width: float | None = None
    interval_coverage: float | None = None
    profit_per_loan: float | None = None
    score_psi: float | None = None
    n_months: int | None = None
    gini_month_mean: float | None = None
    gini_month_slope: float | None = None
    gini_month_slope_low: float | None = None
    gini_month_slope_high: float | None = None
    stability: float | None = None
    auc_fold_mean: float | None = None
    auc_fold_spread: float | None = None
    gini_fold_mean: float | None = None
    gini_fold_spread: float | None = None
    ks_fold_mean: float | None = None
    ks_fold_spread: float | None = None
    h_measure_fold_mean: float | None = None
    h_measure_fold_spread: float | None = None
    brier_fold_mean: float | None = None
    brier_fold_spread: float | None = None
    log_loss_fold_mean: float | None = None
    log_loss_fold_spread: float | None = None
    ece_fold_mean: float | None = None
    ece_fold_spread: float | None = None
    training_seconds: float | None = None
    model_bytes: int | None = None
    score_microseconds: float | None = None
    reason_microseconds: float | None = None

    @property
    def name(self) -> str:
        """The model's name for people."""
        return self.model.replace("_", " ")

    @property
    def verdict(self) -> Verdict | None:
        """What the paired interval of the AUC says; None where there is no difference to judge."""
        return verdict_of(self.auc_difference_low, self.auc_difference_high)


def verdict_of(low: float | None, high: float | None) -> Verdict | None:
    """What the interval of a difference says of the first model."""
    if low is None or high is None:
        return None
    if low > 0:
        return "better"
    return "worse" if high < 0 else "no gain"


@dataclass(frozen=True, kw_only=True)
class MonthFigures:
    """One row of ``models.comparison_months``: a model on the test loans of one month of decision."""

    model: str
    month: date
    n: int
    n_defaults: int
    default_rate: float | None
    mean_probability: float | None
    gini: float | None
    brier: float | None


@dataclass(frozen=True)
class Scored:
    """The test loans' outcomes and months ("2011-07"), and how what is decided on them pays."""

    defaulted: NDArray[np.bool_]
    months: NDArray[np.object_]
    rule: CutOffRule

    def months_of(self, model: str, probabilities: Floats) -> tuple[MonthFigures, ...]:
        """A model's figures by month, oldest first."""
        found = []
        for month in sorted(set(self.months)):
            of_month = self.months == month
            # no figure kept here depends on the cut-off
            figures = measure(self.defaulted[of_month], probabilities[of_month], cut_off=1.0).to_dict()
            kept = {field.name: figures[field.name] for field in fields(MonthFigures) if field.name in figures}
            found.append(MonthFigures(model=model, month=date.fromisoformat(f"{month}-01"), **kept))
        return tuple(found)

    def figures_of(self, contender: Contender, scores: Scores) -> ModelFigures:
        """All figures of a model except the paired differences."""
        bundle, probabilities, raw = contender.bundle, scores.probability, uncalibrated(scores.raw)
        found = Intervals(scores.low, scores.high, scores.is_referred)
        intervals = measure_intervals(self.defaulted, probabilities, found, self.months)
        of_score, of_reason = microseconds(contender.scorer, contender.test_rows)
        return ModelFigures(
            model=contender.model,
            family=bundle.lineage.family,
            imbalance=TrainingSettings.from_dict(bundle.lineage.settings).imbalance,
            model_version=contender.version,
            feature_version=bundle.feature_version,
            settings=json.dumps(bundle.lineage.settings),
            n_test_seen=contender.n_seen,
            score_psi=score_psi(contender.train_probabilities(), probabilities),
            training_seconds=bundle.lineage.seconds,
            model_bytes=model_bytes(bundle),
            score_microseconds=of_score,
            reason_microseconds=of_reason,
            raw_ece=ece(self.defaulted, raw),
            raw_mean_probability=float(raw.mean()),
            refer_rate=intervals.refer_rate,
            interval_width=intervals.mean_width,
            interval_coverage=intervals.coverage,
            **self._of_probabilities(contender.model, probabilities, bundle.policy.cut_off),
        )

    def base_rate(self, probability: float, cut_off: float) -> ModelFigures:
        """The figures of giving every loan the same probability."""
        probabilities = np.full(len(self.defaulted), probability)
        return ModelFigures(model=BASE_RATE, **self._of_probabilities(BASE_RATE, probabilities, cut_off))

    def beside(self, figures: ModelFigures, ours: Floats, theirs: Floats) -> ModelFigures:
        """A model's figures with its paired differences to another model's probabilities."""
        found = compare(self.defaulted, ours, theirs)
        return replace(figures, **_named("auc", found.auc), **_named("brier", found.brier))

    def beside_family(self, figures: ModelFigures, ours: Floats, theirs: Floats) -> ModelFigures:
        """The figures of a family with an imbalance setting, with its paired difference to the family without it."""
        return replace(figures, **_named("imbalance_auc", auc_difference(self.defaulted, ours, theirs)))

    def _of_probabilities(self, model: str, probabilities: Floats, cut_off: float) -> dict[str, Any]:
        figures = measure(self.defaulted, probabilities, cut_off=cut_off)
        parts = brier_parts(self.defaulted, probabilities)
        ginis = {f"{row.month:%Y-%m}": row.gini for row in self.months_of(model, probabilities)}
        trend = gini_trend({month: float("nan") if gini is None else gini for month, gini in ginis.items()})
        of_costs = h_measure(self.defaulted, probabilities)
        return {
            **_shared(figures),
            "h_measure": None if isnan(of_costs) else of_costs,
            "brier_reliability": parts.reliability,
            "brier_resolution": parts.resolution,
            "brier_uncertainty": parts.uncertainty,
            "profit_per_loan": self.rule.profit_per_loan(probabilities >= cut_off, self.defaulted),
            "n_months": trend.n_months,
            "gini_month_mean": trend.mean,
            "gini_month_slope": trend.slope,
            "gini_month_slope_low": trend.slope_low,
            "gini_month_slope_high": trend.slope_high,
            "stability": trend.stability,
        }


def _named(figure: str, difference: PairedDifference) -> dict[str, Any]:
    parts = (("", difference.value), ("_low", difference.low), ("_high", difference.high))
    return {f"{figure}_difference{suffix}": None if isnan(value) else value for suffix, value in parts}


def _shared(figures: Metrics) -> dict[str, Any]:
    """The figures that both have, under one name."""
    names = {field.name for field in fields(ModelFigures)}
    return {name: value for name, value in figures.to_dict().items() if name in names}
