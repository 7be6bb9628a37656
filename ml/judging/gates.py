"""The gates, each a class; all are decided, so that one run shows everything that is wrong.

**No worse than another model.** Against the champion and the logistic baseline, on the same test loans, a candidate
passes when it is neither visibly nor significantly worse:

- its AUC is at most ``auc_margin`` below theirs or, if the test is too small to detect that, one standard error of the
  difference (DeLong's, paired);
- the 95 % interval of the difference does not lie wholly below zero.

Requiring a significant gain would refuse retrainings with small gains or unchanged data; requiring proof of
non-inferiority would refuse a small lender's equal model. Without the standard error, one in three of a small lender's
better models would fail: on 1,271 test loans of the simulated lender a model .015 better in truth measured .003 worse,
with a standard error of .011. The Brier score is held to the champion's in the same way.
"""

from collections.abc import Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING

from ml.judging.gate import Evidence, Finding, Gate, GateLimits, GateResult, Limit, Size
from ml.judging.gates_of_service import LoggedFeaturesEqualRecomputed, OfflineEqualsOnline, ReasonsAreExact
from ml.judging.random_split import more_of_a_random_split

if TYPE_CHECKING:
    from ml.judging.evaluation import Comparison
    from ml.judging.leakage import FeatureSignal
    from ml.judging.metrics import PairedDifference

# below 50 defaults the 95 % interval of an AUC is wider than ±.08
MIN_TEST_ROWS, MIN_TEST_DEFAULTS = Limit("min_test_rows", 500, 1), Limit("min_test_defaults", 50, 1)
#: A floor for any model.
MIN_AUC = Limit("min_auc", 0.60, 0.5, 1)
#: What counts as no worse; see the module.
AUC_MARGIN, BRIER_MARGIN = Limit("auc_margin", 0.005, 0, 0.5), Limit("brier_margin", 0.001, 0, 0.25)
#: Calibration error beyond chance for a perfectly calibrated model on the same number of loans.
MAX_EXCESS_ECE = Limit("max_excess_ece", 0.03, 0, 1)
#: Bounds of mean probability over default rate.
MEAN_RATIO = Limit("mean_ratio", (0.75, 1.33), 0, 10)
# application and behaviour scores rank at .65–.85; beyond .95, or .12 better on train rows, suspect leakage or
# memorising
MAX_AUC, MAX_TRAIN_TEST_GAP = Limit("max_auc", 0.95, 0.5, 1), Limit("max_train_test_gap", 0.12, 0, 0.5)
# see ml.judging.leakage
MAX_FEATURE_AUC, MAX_MISSING_AUC = Limit("max_feature_auc", 0.85, 0.5, 1), Limit("max_missing_auc", 0.75, 0.5, 1)
MAX_ISOLATED = Limit("max_isolated", 0.10, 0, 1)


class EnoughLoans(Gate):
    """Figures on few loans are mostly luck."""

    name = "test_has_enough_loans"
    claim = "There are enough test loans, and defaults among them, for the figures to mean something."
    limits = (MIN_TEST_ROWS, MIN_TEST_DEFAULTS)
    remedy = (
        "figures on so few loans decide nothing: ingest more months, or let the test reach further back with "
        "`split.test_months` or `split.max_share` in the lender's file (warehouse/lenders/)"
    )

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        evaluation = evidence.evaluation
        sizes = {split: Size(*counts) for split, counts in evaluation.sizes.items()}
        return enough_loans(sizes, limits, is_random=evaluation.split_kind == "random split")


class Floor(Gate):
    """An absolute floor, which also holds without a champion."""

    name = "auc_reaches_floor"
    claim = "The model ranks defaults better than the floor for any model."
    limits = (MIN_AUC,)
    remedy = "the features hardly tell good loans from bad ones: look at feature importance and at missing inputs"

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        test = evidence.evaluation.overall("test")
        return Finding(
            test.auc >= limits[MIN_AUC],
            f"test AUC at least {limits[MIN_AUC]:.3f}",
            f"{test.auc:.4f} ({test.auc_low:.4f} to {test.auc_high:.4f})",
        )


class NoWorseThanChampion(Gate):
    """See the module."""

    name = "no_worse_than_champion_out_of_time"
    claim = "On the same test loans it is no worse than the version in service."
    limits = (AUC_MARGIN, BRIER_MARGIN)
    remedy = "the champion stays; compare the two by month to see where the candidate is weaker"

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        evaluation, found = evidence.evaluation, evidence.evaluation.beside_champion
        if found is None:
            return Finding(True, "no worse than the champion", "no champion: the absolute floors decide")
        candidate, (champion, comparison) = evaluation.overall("test"), found
        auc, brier = comparison.auc, comparison.brier
        return Finding(
            is_no_worse(comparison, limits),
            f"AUC at most {_allowed(auc, limits[AUC_MARGIN])} below and Brier at most "
            f"{_allowed(brier, limits[BRIER_MARGIN])} above the champion's (version {evaluation.champion_version}) on "
            "the same test loans, neither significantly",
            f"AUC {_against(candidate.auc, champion.auc, auc)}; "
            f"Brier {_against(candidate.brier, champion.brier, brier)}",
        )


class NoWorseThanLogistic(Gate):
    """See the module."""

    name = "no_worse_than_logistic_baseline"
    claim = "On the same test loans it is no worse than logistic regression."
    limits = (AUC_MARGIN,)
    remedy = (
        "trees that lose to a line have learned noise: train the line with `loanlake run --family logistic`, or with "
        "`model.family` in the lender's file (warehouse/lenders/), or lower max_depth or learning_rate under "
        "`model.settings` there"
    )

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        logistic, comparison = evidence.evaluation.beside_logistic
        return Finding(
            _no_worse(comparison.auc, limits[AUC_MARGIN]),
            f"AUC at most {_allowed(comparison.auc, limits[AUC_MARGIN])} below that of logistic regression on the same "
            "test loans, and not significantly",
            f"AUC {_against(evidence.evaluation.overall('test').auc, logistic.auc, comparison.auc)}",
        )


class BeatsBaseRate(Gate):
    """A model must at least beat one number for all loans."""

    name = "brier_beats_base_rate"
    claim = "Its probabilities are better than the default rate for every loan."
    remedy = (
        "the probabilities say less than one number would: the default rate has moved since tune, or calibration "
        "failed; look at the calibration plot"
    )

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        candidate, base = evidence.evaluation.overall("test"), evidence.evaluation.base_rate
        return Finding(
            candidate.brier < base.brier,
            f"test Brier below {base.brier:.4f}, that of giving every loan tune's default rate",
            f"{candidate.brier:.4f}",
        )


class MeanIsCalibrated(Gate):
    """Loans are priced by the level of risk."""

    name = "mean_probability_matches_default_rate"
    claim = "The level of risk that it expects is the level that came."
    limits = (MEAN_RATIO,)
    remedy = (
        "the level of risk has moved since tune: let tune and test be later with `split.tune_months` and "
        "`split.test_months` in the lender's file (warehouse/lenders/), or wait until later months mature"
    )

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        test, (low, high) = evidence.evaluation.overall("test"), limits[MEAN_RATIO]
        ratio = test.mean_probability / test.default_rate if test.default_rate else nan
        return Finding(
            low <= ratio <= high,
            f"mean probability {low:g} to {high:g} times the test default rate",
            f"{ratio:.2f} times (mean probability {test.mean_probability:.4f}, default rate {test.default_rate:.4f})",
        )


class BinsAreCalibrated(Gate):
    """Judged beyond chance, since even a perfect model has an error on few loans."""

    name = "calibration_error_is_small"
    claim = "Of loans it gives 10 %, about 10 % default."
    limits = (MAX_EXCESS_ECE,)
    remedy = (
        "look at the calibration plot; try another `model.calibration`, or tune on fewer and later months with "
        "`split.tune_months`, in the lender's file (warehouse/lenders/)"
    )

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        test, excess = evidence.evaluation.overall("test"), limits[MAX_EXCESS_ECE]
        limit = excess + test.ece_by_chance
        return Finding(
            test.ece <= limit,
            f"test ECE at most {limit:.4f} ({test.ece_by_chance:.4f} by chance on as many loans, and {excess:g})",
            f"{test.ece:.4f}",
        )


class PlausibleAuc(Gate):
    """An implausibly high figure suggests leakage."""

    name = "auc_is_plausible"
    claim = "The AUC is not implausibly high, which would suggest leakage."
    limits = (MAX_AUC, MAX_TRAIN_TEST_GAP)
    may_be_overridden = False
    is_about_leakage = True
    remedy = (
        "a feature written after the decision may be leaking, or the model memorises: check the known_at of what the "
        "most important features read, then train a simpler family with `model.family`, or lower max_depth of trees "
        "under `model.settings`; where every feature is honest, move the limit under `gates`, with the reason, all in "
        "the lender's file (warehouse/lenders/)"
    )

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        train, test = evidence.evaluation.overall("train"), evidence.evaluation.overall("test")
        gap, most, most_gap = train.auc - test.auc, limits[MAX_AUC], limits[MAX_TRAIN_TEST_GAP]
        return Finding(
            max(train.auc, test.auc) <= most and gap <= most_gap,
            f"train and test AUC at most {most:g}, and train at most {most_gap:g} above test",
            f"train {train.auc:.4f}, test {test.auc:.4f}, gap {gap:+.4f}",
        )


class NoFeatureKnowsTheOutcome(Gate):
    """Each feature is judged alone; see :mod:`ml.judging.leakage`."""

    name = "no_feature_knows_the_outcome"
    claim = "No single feature gives the outcome away."
    reads = "signals"
    limits = (MAX_FEATURE_AUC, MAX_MISSING_AUC, MAX_ISOLATED)
    may_be_overridden = False
    is_about_leakage = True
    remedy = (
        "find when each was written: one written after the decision must go; of one that is honest, say why under "
        "`honest_features` in the lender's file (warehouse/lenders/)"
    )

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        signals, honest = evidence.signals, limits.honest_features
        suspects = suspicions(signals, limits)
        strongest = max(signals, key=lambda signal: signal.auc, default=None)
        if suspects:
            found = "; ".join(suspects)
        else:
            found = f"strongest: {strongest.feature}, AUC {strongest.auc:.3f}" if strongest else "no features"
        known = {signal.feature: signal for signal in signals}
        for name, why in honest.items():
            shown = f"AUC {known[name].auc:.3f}" if name in known else "not a feature of this version"
            found += f"; {name} ({shown}) is stated to be honest: {why}"
        return Finding(
            not suspects,
            f"no single feature with AUC above {limits[MAX_FEATURE_AUC]:g}, none whose absence alone has AUC above "
            f"{limits[MAX_MISSING_AUC]:g}, none that sets apart more than {limits[MAX_ISOLATED]:.0%} of defaults "
            "almost pure",
            found,
        )


#: Every gate, in the order of decision and display.
GATES: tuple[Gate, ...] = (
    EnoughLoans(),
    Floor(),
    NoWorseThanChampion(),
    NoWorseThanLogistic(),
    BeatsBaseRate(),
    MeanIsCalibrated(),
    BinsAreCalibrated(),
    PlausibleAuc(),
    NoFeatureKnowsTheOutcome(),
    OfflineEqualsOnline(),
    ReasonsAreExact(),
    LoggedFeaturesEqualRecomputed(),
)
LEAKAGE = frozenset(gate.name for gate in GATES if gate.is_about_leakage)
NEVER_OVERRIDDEN = frozenset(gate.name for gate in GATES if not gate.may_be_overridden)
#: Gates whose refusal leaves a version free to be tried in shadow.
SHADOW_ALLOWED = frozenset(gate.name for gate in GATES if gate.allows_shadow)
#: Gates that judge the deployed model: the same candidate may pass them another day.
OF_WHAT_IS_SERVED = frozenset(gate.name for gate in GATES if gate.reads == "logged")


def run_gates(evidence: Evidence, limits: GateLimits | None = None) -> tuple[GateResult, ...]:
    """Decide every gate, in order; the candidate passes if all do."""
    return tuple(gate.decide(evidence, limits or GateLimits()) for gate in GATES)


def refused(results: Sequence[GateResult]) -> tuple[GateResult, ...]:
    """The gates that refused; if none did, the candidate may be promoted."""
    return tuple(result for result in results if not result.passed)


def enough_loans(sizes: Mapping[str, Size], limits: GateLimits, *, is_random: bool) -> Finding:
    """Whether a test of this size says anything; the other parts' sizes say what a random split would need."""
    needed, test = Size(limits[MIN_TEST_ROWS], limits[MIN_TEST_DEFAULTS]), sizes["test"]
    return Finding(
        test.n >= needed.n and test.n_defaults >= needed.n_defaults,
        f"at least {needed.n:,} test loans, {needed.n_defaults:,} of them defaults",
        f"{test.n:,} test loans, {test.n_defaults:,} of them defaults",
        more_of_a_random_split(sizes, needed) if is_random else "",
    )


def suspicions(signals: "Sequence[FeatureSignal]", limits: GateLimits) -> list[str]:
    """Why features may know the outcome, of those that the lender does not state to be honest."""
    return [
        text
        for signal in signals
        if signal.feature not in limits.honest_features
        for text in _suspicions(signal, limits)
    ]


def is_no_worse(comparison: "Comparison", limits: GateLimits) -> bool:
    """Whether a candidate is neither visibly nor significantly worse than another model, in AUC and Brier score."""
    return _no_worse(comparison.auc, limits[AUC_MARGIN]) and _no_worse(comparison.brier.opposite, limits[BRIER_MARGIN])


def against(difference: "PairedDifference") -> str:
    """A difference with its 95 % interval, for a message."""
    return f"{difference.value:+.4f}, {difference.low:+.4f} to {difference.high:+.4f}"


def _no_worse(gain: "PairedDifference", margin: float) -> bool:
    return gain.value >= -max(margin, gain.standard_error) and not gain.high < 0


def _allowed(difference: "PairedDifference", margin: float) -> str:
    if difference.standard_error > margin:
        return f"{difference.standard_error:.4f} (one standard error)"
    return f"{margin:g}"


def _against(ours: float, theirs: float, difference: "PairedDifference") -> str:
    return f"{ours:.4f} against {theirs:.4f} ({against(difference)})"


def _suspicions(signal: "FeatureSignal", limits: GateLimits) -> list[str]:
    texts = []
    if signal.auc > limits[MAX_FEATURE_AUC]:
        texts.append(f"{signal.feature} alone has AUC {signal.auc:.3f}")
    if signal.missing_auc > limits[MAX_MISSING_AUC]:
        texts.append(f"absence of {signal.feature} alone has AUC {signal.missing_auc:.3f}")
    if signal.isolated > limits[MAX_ISOLATED]:
        texts.append(f"{signal.feature} sets apart {signal.isolated:.0%} of defaults almost pure")
    return texts
