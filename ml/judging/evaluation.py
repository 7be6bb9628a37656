"""Judge a candidate on every split, overall and by month of decision, beside the baselines it must beat."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from math import isnan
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ml.judging.intervals import IntervalFigures, Intervals, measure_intervals
from ml.judging.metrics import (
    Metrics,
    PairedDifference,
    SplitKind,
    auc_difference,
    brier_difference,
    kind_of_split,
    measure,
)
from ml.training.fitting import LOGISTIC, MEMBER, Candidate
from ml.training.policy import DECISION_WORDS
from ml.training.training_set import SPLITS, Split, TrainingSet

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
#: The candidate's name among the models of an evaluation.
CANDIDATE = "candidate"
CHAMPION = "champion"
BASE_RATE = "base_rate"
#: The candidate's main figures, and those compared with the other models.
_HEADLINES = ("auc", "auc_low", "auc_high", "gini", "ks", "brier", "ece", "default_rate", "decline_rate", "n")
_COMPARED = ("auc", "ks", "brier", "ece")


@dataclass(frozen=True)
class ChampionScores:
    """The champion's probabilities of the same test rows, in their order."""

    version: int
    probabilities: Floats


@dataclass(frozen=True)
class SplitScores:
    """A split's outcomes, months of decision ("2011-07") and each model's probabilities.

    ``intervals``: of the candidate's; None of train rows, which the model has learned from, and of tune rows, which
    made the intervals.
    """

    defaulted: NDArray[np.bool_]
    months: NDArray[np.object_]
    probabilities: Mapping[str, Floats]
    intervals: Intervals | None = None


@dataclass(frozen=True)
class Measured:
    """One model's metrics on a split, or on one ``month`` of it (None: all)."""

    split: Split
    month: str | None
    model: str
    metrics: Metrics


@dataclass(frozen=True)
class Comparison:
    """The candidate's figures minus another model's on the same test loans; better is more AUC and less Brier."""

    auc: PairedDifference
    brier: PairedDifference


@dataclass(frozen=True)
class Evaluation:
    """All measurements of a candidate.

    ``models``: ``candidate``, ``logistic``, ``lender_rate`` where the lender has one, ``member_…`` of an ensemble,
    ``base_rate``, and on test rows ``champion`` where one was given. ``comparisons``: the candidate with each of them
    but the base rate. ``intervals``: those of the candidate's probabilities on test rows.
    """

    measured: tuple[Measured, ...]
    comparisons: Mapping[str, Comparison]
    intervals: IntervalFigures
    champion_version: int | None
    feature_importance: Mapping[str, float]

    def overall(self, split: Split, model: str = CANDIDATE) -> Metrics:
        """A model's metrics on a whole split; KeyError if it was not measured."""
        for row in self.measured:
            if (row.split, row.month, row.model) == (split, None, model):
                return row.metrics
        raise KeyError(f"{model} was not measured on {split}")

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Each part's loans and defaults."""
        whole = [row for row in self.measured if row.month is None and row.model == CANDIDATE]
        return {row.split: (row.metrics.n, row.metrics.n_defaults) for row in whole}

    @property
    def split_kind(self) -> SplitKind:
        """Whether the test came after all of its train rows."""
        months = {split: [row.month for row in self.measured if row.split == split and row.month] for split in SPLITS}
        return kind_of_split(months["train"], months["test"])

    @property
    def base_rate(self) -> Metrics:
        """Metrics on test rows of giving every loan tune's default rate."""
        return self.overall("test", BASE_RATE)

    @property
    def beside_logistic(self) -> tuple[Metrics, Comparison]:
        """The logistic baseline's metrics on test rows, and the candidate's figures minus its own."""
        return self.overall("test", LOGISTIC), self.comparisons[LOGISTIC]

    @property
    def beside_best_member(self) -> tuple[str, Metrics, Comparison] | None:
        """An ensemble's member of the least log loss on tune rows, as the two above; None of another family."""
        members = [name for name in self.comparisons if name.startswith(MEMBER)]
        if not members:
            return None
        best = min(members, key=lambda name: self.overall("tune", name).log_loss)
        return best.removeprefix(MEMBER), self.overall("test", best), self.comparisons[best]

    @property
    def beside_champion(self) -> tuple[Metrics, Comparison] | None:
        """The same of the champion; None if there was none."""
        if CHAMPION not in self.comparisons:
            return None
        return self.overall("test", CHAMPION), self.comparisons[CHAMPION]

    def to_metrics(self) -> dict[str, float]:
        """The figures that MLflow charts and compares, by name, without those that could not be measured.

        MLflow groups them by the part before the slash, in alphabetical order: ``candidate_on_test/auc`` first, then
        ``candidate_on_train/auc``, ``gains_on_test/auc_over_logistic``, ``others_on_test/logistic_auc``.
        :meth:`to_dict` has all.
        """
        flat: dict[str, float] = {}
        for row in self.measured:
            figures = asdict(row.metrics)
            if row.month is None and row.model == CANDIDATE:
                flat |= {f"candidate_on_{row.split}/{name}": float(figures[name]) for name in _HEADLINES}
            elif row.month is None and row.split == "test":
                flat |= {f"others_on_test/{row.model}_{name}": float(figures[name]) for name in _COMPARED}
        for other, comparison in self.comparisons.items():
            flat[f"gains_on_test/auc_over_{other}"] = comparison.auc.value
            flat[f"gains_on_test/auc_over_{other}_p_value"] = comparison.auc.p_value
        found = self.intervals
        flat |= {
            "candidate_on_test/interval_width": found.mean_width,
            "candidate_on_test/interval_coverage": found.coverage,
            "candidate_on_test/refer_rate": found.refer_rate,
        }
        return {name: value for name, value in flat.items() if not isnan(value)}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: ``metrics.json`` of a bundle."""
        return {
            # one flat record per split × month (None: all) × model; missing figures are None
            "measured": [
                {"split": row.split, "month": row.month, "model": row.model, **row.metrics.to_dict()}
                for row in self.measured
            ],
            "comparisons": {
                other: {"auc": _none_for_nan(comparison.auc), "brier": _none_for_nan(comparison.brier)}
                for other, comparison in self.comparisons.items()
            },
            "intervals": self.intervals.to_dict(),
            "champion_version": self.champion_version,
            "feature_importance": dict(self.feature_importance),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        measured = []
        for row in data["measured"]:
            figures = {name: value for name, value in row.items() if name not in ("split", "month", "model")}
            measured.append(Measured(row["split"], row["month"], row["model"], Metrics(**_nan_for_none(figures))))
        return cls(
            measured=tuple(measured),
            comparisons={
                other: Comparison(
                    auc=PairedDifference(**_nan_for_none(figures["auc"])),
                    brier=PairedDifference(**_nan_for_none(figures["brier"])),
                )
                for other, figures in data["comparisons"].items()
            },
            intervals=IntervalFigures.from_dict(data["intervals"]),
            champion_version=data["champion_version"],
            feature_importance=data["feature_importance"],
        )


def compare(defaulted: NDArray[np.bool_], ours: Floats, theirs: Floats) -> Comparison:
    """The first model's figures minus the second's, on the same loans."""
    return Comparison(auc=auc_difference(defaulted, ours, theirs), brier=brier_difference(defaulted, ours, theirs))


def score_splits(
    candidate: Candidate, training_set: TrainingSet, champion: ChampionScores | None = None
) -> dict[Split, SplitScores]:
    """Every model's probabilities on every split, those of tune rows from before it learned from them.

    Raises ValueError unless the champion has one for each test row.
    """
    scores: dict[Split, SplitScores] = {}
    for split in SPLITS:
        rows, intervals = training_set.rows(split), None
        if split == "test":
            ours, intervals = _with_intervals(candidate, rows)
        else:
            ours = candidate.judged(training_set, split)
        others = {name: model.judged(training_set, split) for name, model in candidate.baselines.items()}
        probabilities = {CANDIDATE: ours, **others}
        probabilities[BASE_RATE] = np.full(len(rows), candidate.base_rate)
        if champion is not None and split == "test":
            if champion.probabilities.shape != (len(rows),):
                raise ValueError(
                    f"the champion must have scored each of the {len(rows)} test rows: "
                    f"found {champion.probabilities.shape}"
                )
            probabilities[CHAMPION] = champion.probabilities
        scores[split] = SplitScores(training_set.defaulted(split), months_of(rows), probabilities, intervals)
    return scores


def _with_intervals(candidate: Candidate, rows: "pd.DataFrame") -> tuple[Floats, Intervals]:
    """The candidate's probabilities of rows that it has not seen, and their intervals."""
    raw = candidate.raw(rows)
    probabilities = candidate.calibrator.apply(raw)
    low, high = candidate.intervals.around(raw, probabilities)
    codes = candidate.policy.decision_codes(probabilities, low, high)
    return probabilities, Intervals(low, high, codes == DECISION_WORDS.index("refer"))


def evaluate(candidate: Candidate, training_set: TrainingSet, champion: ChampionScores | None = None) -> Evaluation:
    """Measure a candidate on all splits; :func:`score_splits` gives the arrays behind the figures."""
    return evaluate_scores(candidate, score_splits(candidate, training_set, champion), champion)


def evaluate_scores(
    candidate: Candidate, scores: Mapping[Split, SplitScores], champion: ChampionScores | None = None
) -> Evaluation:
    """:func:`evaluate` from given scores, for callers that also plot them."""
    test = scores["test"]
    if test.intervals is None:
        raise ValueError("the candidate's intervals of the test rows are needed")
    others = [name for name in test.probabilities if name not in (CANDIDATE, BASE_RATE)]
    return Evaluation(
        measured=tuple(
            row for split in SPLITS for row in _measure_split(split, scores[split], candidate.policy.cut_off)
        ),
        comparisons={
            other: compare(test.defaulted, test.probabilities[CANDIDATE], test.probabilities[other]) for other in others
        },
        intervals=measure_intervals(test.defaulted, test.probabilities[CANDIDATE], test.intervals, test.months),
        champion_version=None if champion is None else champion.version,
        feature_importance=candidate.feature_importance(),
    )


def beside_champion(
    evaluation: Evaluation,
    champion: ChampionScores,
    *,
    defaulted: NDArray[np.bool_],
    probabilities: Floats,
    cut_off: float,
) -> Evaluation:
    """An evaluation without a champion, with one added: overall, on test rows, in their order.

    ``defaulted``, ``probabilities``: outcomes and the candidate's probabilities of the same test rows.
    """
    of_champion = measure(defaulted, champion.probabilities, cut_off=cut_off)
    comparison = compare(defaulted, probabilities, champion.probabilities)
    return replace(
        evaluation,
        measured=(*evaluation.measured, Measured("test", None, CHAMPION, of_champion)),
        comparisons={**evaluation.comparisons, CHAMPION: comparison},
        champion_version=champion.version,
    )


def _measure_split(split: Split, scores: SplitScores, cut_off: float) -> Iterator[Measured]:
    for model, probabilities in scores.probabilities.items():
        yield Measured(split, None, model, measure(scores.defaulted, probabilities, cut_off=cut_off))
    for month in sorted(set(scores.months)):
        of_month = scores.months == month
        for model, probabilities in scores.probabilities.items():
            yield Measured(
                split, month, model, measure(scores.defaulted[of_month], probabilities[of_month], cut_off=cut_off)
            )


def months_of(rows: "pd.DataFrame") -> NDArray[np.object_]:
    """Each row's month of decision, such as "2011-07"."""
    months, place = np.unique(rows["decided_at"].to_numpy().astype("datetime64[M]"), return_inverse=True)
    # rows of a month share one text
    return np.array(np.datetime_as_string(months), dtype=np.object_)[place]


def _none_for_nan(difference: PairedDifference) -> dict[str, float | None]:
    return {name: None if isnan(value) else value for name, value in asdict(difference).items()}


def _nan_for_none(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float("nan") if value is None else value for name, value in figures.items()}
