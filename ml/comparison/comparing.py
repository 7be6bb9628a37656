"""One comparison, from training rows to figures: it registers nothing, and changes nothing that is served."""

import getpass
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ml.comparison.contenders import Floats, champion_contender, choose_families, trained
from ml.comparison.figures import ModelFigures, MonthFigures, Occasion, Scored
from ml.families.catalogue import learns_from_open
from ml.judging.evaluation import BASE_RATE, CHAMPION, Evaluation, months_of
from ml.judging.metrics import kind_of_split
from ml.training.fitting import TrainingSettings, training_settings_of
from ml.training.training_set import Split, TrainingSet
from warehouse.errors import SettingError
from warehouse.features.contract import FeatureContract
from warehouse.lenders.lender import Lender
from warehouse.settings import Settings

__all__ = ["Comparison", "Plan", "choose_families", "compare_families", "plan_of"]
Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is compared: each family with its settings, the default one first, and why others are left out."""

    training: Mapping[str, TrainingSettings]
    left_out: Mapping[str, str]

    @property
    def learns_from_open(self) -> bool:
        """Whether a family needs a training set with exposures and open loans."""
        return any(settings.learns_from_open for settings in self.training.values())


@dataclass(frozen=True)
class Comparison:
    """The result: ``models`` in the order champion, default family, others, base rate.

    ``defaulted`` and ``probabilities``, by model, are of the test loans, for plots. ``statement`` reads the rows again.
    """

    occasion: Occasion
    models: tuple[ModelFigures, ...]
    months: tuple[MonthFigures, ...]
    left_out: Mapping[str, str]
    statement: str
    defaulted: NDArray[np.bool_]
    probabilities: Mapping[str, Floats]

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


def plan_of(lender: Lender, families: tuple[str, ...] = (), *, exclude: tuple[str, ...] = ()) -> Plan:
    """The lender's settings of each family; ``families``: empty for all that are installed.

    Raises SettingError for a family that is unknown or, if named, not installed or in need of dates that the lender
    does not have.
    """
    chosen, left_out = choose_families(families)
    if not families and lender.dates != "known":
        without = {name for name in chosen if learns_from_open(name)}
        left_out |= dict.fromkeys(sorted(without), "needs dates of decision, which the lender does not have")
        chosen = tuple(name for name in chosen if name not in without)
    if not chosen:
        raise SettingError(f"a comparison needs a family: {left_out} cannot be trained here")
    default = training_settings_of(lender).model.name
    in_order = sorted(chosen, key=lambda name: name != default)
    return Plan({name: training_settings_of(lender, family=name, exclude=exclude) for name in in_order}, left_out)


def compare_families(
    settings: Settings, rows: TrainingSet, contract: FeatureContract, plan: Plan, report: Report | None = None
) -> Comparison:
    """Train and measure every family of the plan beside the champion, on the same rows.

    Paired differences are to the champion or, without one, to the plan's first family. ``report`` gets a line a model.
    """
    test_rows, first = rows.rows("test"), next(iter(plan.training))
    scored = Scored(rows.defaulted("test"), months_of(test_rows), plan.training[first].cut_off)
    by, champion = getpass.getuser(), champion_contender(settings, rows)
    compared_with = first if champion is None else CHAMPION
    models: list[ModelFigures] = []
    probabilities: dict[str, Floats] = {}
    with trained(settings, rows, contract, plan.training, by=by) as families:
        for contender in chain(() if champion is None else (champion,), families):
            ours = probabilities[contender.model] = contender.test_probabilities()
            figures = scored.figures_of(contender, ours)
            if contender.model != compared_with:
                figures = scored.beside(figures, ours, probabilities[compared_with])
            if contender.model == first:
                rate = Evaluation.from_dict(contender.bundle.metrics).base_rate
            models.append(figures)
            if report is not None:
                report(f"{figures.name}: AUC {figures.auc:.4f}, trained in {figures.training_seconds:.1f} s")
    probabilities[BASE_RATE] = np.full(len(test_rows), rate.mean_probability)
    base_rate = scored.base_rate(rate.mean_probability, rate.cut_off)
    models.append(scored.beside(base_rate, probabilities[BASE_RATE], probabilities[compared_with]))

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
        ),
        models=tuple(models),
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
    )


def _n_known_later(rows: TrainingSet) -> int:
    first = rows.rows("test")["decided_at"].min()
    learned: tuple[Split, ...] = ("train", "tune")
    return sum(int((rows.rows(split)["label_known_at"] > first).sum()) for split in learned)
