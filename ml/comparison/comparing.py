"""One comparison, from training rows to figures: it registers nothing, and changes nothing that is served."""

import getpass
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from ml.comparison.contenders import Floats, champion_contender, choose_families, trained
from ml.comparison.figures import ModelFigures, MonthFigures, Occasion, Scored
from ml.comparison.fold_figures import FoldFigures, fold_figures, spread
from ml.families.catalogue import learns_from_open
from ml.folds.plan import FoldPlan
from ml.folds.rows import FoldRows
from ml.judging.evaluation import BASE_RATE, CHAMPION, Evaluation, months_of
from ml.judging.metrics import kind_of_split
from ml.registry.information_values import InformationValue, information_values
from ml.training.fitting import TrainingSettings, training_settings_of
from ml.training.imbalance import smote_refusal
from ml.training.training_set import SPLITS, Split, TrainingSet
from warehouse.errors import SettingError, TrainingSetError
from warehouse.features.contract import FeatureContract
from warehouse.lenders.lender import Imbalance, Lender
from warehouse.settings import Settings

__all__ = ["Comparison", "Plan", "choose_families", "compare_families", "plan_of"]
Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is compared: each model with its settings, the default family first, and why others are left out.

    ``balanced``: model with an imbalance setting → the family without it. ``n_folds``: 0 for none.
    """

    training: Mapping[str, TrainingSettings]
    left_out: Mapping[str, str]
    balanced: Mapping[str, str] = field(default_factory=dict)
    n_folds: int = 0
    is_dated: bool = True

    def possible(self, rows: TrainingSet) -> "Plan":
        """Without the models that these rows do not allow; raises SettingError if none is left."""
        n, is_on_disk = len(rows.rows("train", "tune")), rows.mapped is not None
        why = smote_refusal(n, is_on_disk=is_on_disk)
        refused = {
            model: f"imbalance smote {why}"
            for model, settings in self.training.items()
            if why and settings.imbalance == "smote"
        }
        kept = {model: settings for model, settings in self.training.items() if model not in refused}
        if not kept:
            raise SettingError(next(iter(refused.values())))
        return replace(self, training=kept, left_out={**self.left_out, **refused})

    @property
    def learns_from_open(self) -> bool:
        """Whether a family needs a training set with exposures and open loans."""
        return any(settings.learns_from_open for settings in self.training.values())


@dataclass(frozen=True)
class Comparison:
    """The result: ``models`` in the order champion, default family, others, base rate.

    ``defaulted`` and ``probabilities``, by model, are of the test loans, for plots. ``statement`` reads the rows again.
    ``fold_reason``: why the folds are of their kind, or why there are none. ``information_values``: of the scorecard.
    """

    occasion: Occasion
    models: tuple[ModelFigures, ...]
    months: tuple[MonthFigures, ...]
    left_out: Mapping[str, str]
    statement: str
    defaulted: NDArray[np.bool_]
    probabilities: Mapping[str, Floats]
    folds: tuple[FoldFigures, ...] = ()
    fold_reason: str = ""
    information_values: tuple[InformationValue, ...] = ()

    @property
    def reference(self) -> ModelFigures:
        """The model that the others are compared with."""
        return next(row for row in self.models if row.model == self.occasion.compared_with)

    @property
    def finding(self) -> str:
        """The result in one sentence; it names the features where the champion reads others."""
        read = self.occasion.feature_version
        if self.reference.feature_version in (read, None):
            return self._finding
        return (
            f"{self._finding}; but the champion reads features {self.reference.feature_version} and the families "
            f"{read}, as the last run trained on them: run again with the champion's to compare families alone"
        )

    @property
    def _finding(self) -> str:
        with_what = "the champion" if self.reference.model == CHAMPION else self.reference.name
        others = [row for row in self.models if row.model not in (self.reference.model, BASE_RATE)]
        better = [row for row in others if row.verdict == "better" and row.auc is not None]
        if not others:
            return f"only {with_what} was measured"
        if not better:
            return f"no gain: no other model is better than {with_what} by a paired 95 % interval"
        best = max(better, key=lambda row: row.auc or 0.0)
        return (
            f"{best.name} is better than {with_what}: AUC {best.auc_difference:+.4f} "
            f"({best.auc_difference_low:+.4f} to {best.auc_difference_high:+.4f})"
        )


def plan_of(
    lender: Lender,
    families: tuple[str, ...] = (),
    *,
    imbalance: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    n_folds: int = 0,
) -> Plan:
    """The lender's settings of each family; ``families``: empty for all that are installed.

    ``imbalance``: settings with each of which the first family is compared too. Raises SettingError for a family or a
    setting that is unknown or, if named, not installed, and for a named family that needs dates that the lender does
    not have.
    """
    if n_folds < 0 or n_folds == 1:
        raise SettingError(f"the number of folds must be 0, for none, or at least 2: found {n_folds}")
    chosen, left_out = choose_families(families)
    if not families and lender.dates != "known":
        without = {name for name in chosen if learns_from_open(name)}
        left_out |= dict.fromkeys(sorted(without), "needs dates of decision, which the lender does not have")
        chosen = tuple(name for name in chosen if name not in without)
    if not chosen:
        raise SettingError(f"a comparison needs a family: {left_out} cannot be trained here")
    default = training_settings_of(lender).model.name
    in_order = sorted(chosen, key=lambda name: name != default)
    training = {name: training_settings_of(lender, family=name, exclude=exclude) for name in in_order}
    balanced = {}
    for wanted in dict.fromkeys(imbalance):
        setting = next((known for known in get_args(Imbalance) if known == wanted), None)
        if setting is None:
            raise SettingError(f"imbalance must be one of {', '.join(get_args(Imbalance))}: found {wanted!r}")
        if setting == "smote" and (why := smote_refusal(0)):
            raise SettingError(f"imbalance smote {why}")
        if setting != lender.model.imbalance:
            balanced[f"{in_order[0]}_{setting}"] = in_order[0]
            training[f"{in_order[0]}_{setting}"] = replace(training[in_order[0]], imbalance=setting)
    return Plan(training, left_out, balanced, n_folds, is_dated=lender.dates == "known")


def compare_families(
    settings: Settings, rows: TrainingSet, contract: FeatureContract, plan: Plan, report: Report | None = None
) -> Comparison:
    """Train and measure every model of the plan beside the champion, on the same rows.

    Paired differences are to the champion or, without one, to the plan's first family. ``report`` gets a line a model.
    """
    plan = plan.possible(rows)
    say = report or (lambda _: None)
    test_rows, first = rows.rows("test"), next(iter(plan.training))
    scored = Scored(rows.defaulted("test"), months_of(test_rows), plan.training[first].cut_off)
    by, champion = getpass.getuser(), champion_contender(settings, rows)
    compared_with = first if champion is None else CHAMPION
    models: list[ModelFigures] = []
    probabilities: dict[str, Floats] = {}
    values: tuple[InformationValue, ...] = ()
    with trained(settings, rows, contract, plan.training, by=by) as families:
        for contender in chain(() if champion is None else (champion,), families):
            model, scores = contender.model, contender.test_scores()
            ours = probabilities[model] = scores.probability
            figures = scored.figures_of(contender, scores)
            if model != compared_with:
                figures = scored.beside(figures, ours, probabilities[compared_with])
            if model in plan.balanced:
                figures = scored.beside_family(figures, ours, probabilities[plan.balanced[model]])
            if model == first:
                rate = Evaluation.from_dict(contender.bundle.metrics).base_rate
            if model != CHAMPION and model not in plan.balanced:
                values = values or information_values(contender.bundle)
            models.append(figures)
            say(f"{figures.name}: AUC {figures.auc:.4f}, trained in {figures.training_seconds:.1f} s")
    probabilities[BASE_RATE] = np.full(len(test_rows), rate.mean_probability)
    base_rate = scored.base_rate(rate.mean_probability, rate.cut_off)
    models.append(scored.beside(base_rate, probabilities[BASE_RATE], probabilities[compared_with]))
    fold_plan, reason, folds = folds_of(rows, contract, plan, say)

    compared_at = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    return Comparison(
        occasion=Occasion(
            comparison_id=f"{rows.source}-{compared_at:%Y%m%dT%H%M%SZ}",
            source=rows.source,
            compared_at=compared_at,
            compared_by=by,
            compared_with=compared_with,
            split_kind=kind_of_split(months_of(rows.rows("train")), scored.months),
            n_train=len(rows.rows("train")),
            n_tune=len(rows.rows("tune")),
            n_test=len(test_rows),
            n_test_defaults=int(scored.defaulted.sum()),
            n_known_later=_n_known_later(rows),
            lake_snapshot=rows.snapshot,
            feature_version=rows.feature_version,
            training_set_sha256=rows.sha256,
            fold_kind=fold_plan.kind if fold_plan else None,
            n_folds=len(fold_plan.folds) if fold_plan else 0,
        ),
        models=tuple(
            replace(figures, **spread(of_model))
            if (of_model := [fold for fold in folds if fold.model == figures.model])
            else figures
            for figures in models
        ),
        months=tuple(
            month
            for model, each in probabilities.items()
            if model != BASE_RATE
            for month in scored.months_of(model, each)
        ),
        left_out=plan.left_out,
        statement=rows.statement,
        defaulted=scored.defaulted,
        probabilities=probabilities,
        folds=folds,
        fold_reason=reason,
        information_values=values,
    )


def folds_of(
    rows: TrainingSet, contract: FeatureContract, plan: Plan, say: Report
) -> tuple[FoldPlan | None, str, tuple[FoldFigures, ...]]:
    """Every model of the plan on folds of all rows; without enough defaults no folds, and the reason."""
    if plan.n_folds == 0:
        return None, "none were wanted", ()
    try:
        read = FoldRows.read(rows, contract, splits=SPLITS, is_dated=plan.is_dated, n_folds=plan.n_folds)
    except TrainingSetError as error:
        say(f"no folds: {error}")
        return None, str(error), ()
    reason = read.plan.reason
    if read.n_of > len(read.defaulted):
        reason += f"; of {read.n_of:,} rows {len(read.defaulted):,}, spread over all, are used"
    found: list[FoldFigures] = []
    for model, training in plan.training.items():
        of_model = list(fold_figures(model, read, training))
        found += of_model
        auc = spread(of_model)
        say(
            f"{model.replace('_', ' ')}: AUC {auc['auc_fold_mean']:.4f} ± {auc['auc_fold_spread']:.4f} over "
            f"{len(of_model)} folds ({read.plan.kind})"
        )
    return read.plan, reason, tuple(found)


def _n_known_later(rows: TrainingSet) -> int:
    first = rows.rows("test")["decided_at"].min()
    learned: tuple[Split, ...] = ("train", "tune")
    return sum(int((rows.rows(split)["label_known_at"] > first).sum()) for split in learned)
