"""The figures of a comparison: one row a model, and one a model and month, as the lake keeps them."""

import json
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from math import isnan
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ml.bundle.scorer import Scores
from ml.comparison.contenders import Contender, Floats
from ml.comparison.serving_cost import microseconds, model_bytes
from ml.comparison.stability import gini_trend
from ml.judging.evaluation import BASE_RATE, compare
from ml.judging.intervals import Intervals, measure_intervals
from ml.judging.metrics import Metrics, SplitKind, brier_parts, measure
from ml.monitoring.drift import score_psi
from ml.training.policy import CutOffRule

Verdict = Literal["better", "worse", "no gain"]


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """What all rows of a comparison have in common.

    ``compared_with``: the model of the paired differences. ``n_known_later``: train and tune rows whose outcome became
    known only after the first test loan was decided.
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


@dataclass(frozen=True, kw_only=True)
class ModelFigures:
    """One row of ``models.comparison`` besides its :class:`Occasion`.

    ``model``: a family, ``champion`` or ``base_rate``. A figure that the model or the rows cannot give is None.
    Differences are this model's figure minus that of ``compared_with``.
    """

    model: str
    family: str | None = None
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
        if self.auc_difference_low is None or self.auc_difference_high is None:
            return None
        if self.auc_difference_low > 0:
            return "better"
        return "worse" if self.auc_difference_high < 0 else "no gain"


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
        bundle, probabilities = contender.bundle, scores.probability
        found = Intervals(scores.low, scores.high, scores.is_referred)
        intervals = measure_intervals(self.defaulted, probabilities, found, self.months)
        of_score, of_reason = microseconds(contender.scorer, contender.test_rows)
        return ModelFigures(
            model=contender.model,
            family=bundle.lineage.family,
            model_version=contender.version,
            feature_version=bundle.feature_version,
            settings=json.dumps(bundle.lineage.settings),
            n_test_seen=contender.n_seen,
            score_psi=score_psi(contender.train_probabilities(), probabilities),
            training_seconds=bundle.lineage.seconds,
            model_bytes=model_bytes(bundle),
            score_microseconds=of_score,
            reason_microseconds=of_reason,
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
        named: dict[str, Any] = {
            f"{figure}_difference{suffix}": None if isnan(value := getattr(difference, part)) else value
            for figure, difference in (("auc", found.auc), ("brier", found.brier))
            for suffix, part in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        return replace(figures, **named)

    def _of_probabilities(self, model: str, probabilities: Floats, cut_off: float) -> dict[str, Any]:
        figures = measure(self.defaulted, probabilities, cut_off=cut_off)
        parts = brier_parts(self.defaulted, probabilities)
        ginis = {f"{row.month:%Y-%m}": row.gini for row in self.months_of(model, probabilities)}
        trend = gini_trend({month: float("nan") if gini is None else gini for month, gini in ginis.items()})
        return {
            **_shared(figures),
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


def _shared(figures: Metrics) -> dict[str, Any]:
    """The figures that both have, under one name."""
    names = {field.name for field in fields(ModelFigures)}
    return {name: value for name, value in figures.to_dict().items() if name in names}
