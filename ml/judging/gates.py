"""What a candidate must show before it may be served; a refused one says what was required, found, and what to do.

Gates read figures and decide; they compute no model and touch no lake. All of them are always decided, so that one run
shows everything that is wrong.

**No worse than another model.** Against the champion and the logistic baseline, on the same test loans, a candidate
passes when it is neither visibly nor significantly worse:

- its AUC is at most ``auc_margin`` below theirs or, where the test is too small to tell so little, one standard error
  of the difference (DeLong's, paired);
- the 95 % interval of the difference does not lie wholly below zero.

To demand a significant gain would refuse every retraining whose gain is small, and a retraining on unchanged data,
whose model equals the champion; to demand proof of non-inferiority would refuse a small lender's equal model for want
of loans. Without the standard error, one in three of a small lender's better models would fail: on 1,271 test loans of
the simulated lender a model .015 better in truth measured .003 worse, with a standard error of .011. The Brier score is
held to the champion's in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ml.judging.evaluation import BASE_RATE, CHAMPION, Comparison, Evaluation
from ml.judging.gate_limits import LIMITS_OF, GateLimits
from ml.judging.gate_names import LOGGED_FEATURES
from ml.judging.leakage import FeatureSignal
from ml.judging.metrics import NAN, Difference, Metrics
from ml.training.fitting import LOGISTIC


@dataclass(frozen=True)
class ParityEvidence:
    """What comparing offline and online on real rows found.

    ``n_mismatches``: rows of which any feature differed by a bit; ``first_mismatch`` describes one of them.
    ``max_onnx_difference``: greatest difference of probability between the served model and the booster.
    """

    n_rows: int
    n_mismatches: int
    max_onnx_difference: float
    first_mismatch: str | None = None


@dataclass(frozen=True)
class LoggedEvidence:
    """What recomputing the features of logged online decisions from their logged inputs found.

    ``n_different``: decisions of which any feature differed by a bit; ``worst`` describes the feature that did most.
    ``n_without_bundle``: decisions whose model version's bundle is gone, so that nothing can be said of them.
    """

    n_decisions: int = 0
    n_different: int = 0
    n_without_bundle: int = 0
    worst: str | None = None


@dataclass(frozen=True)
class GateResult:
    """One gate's decision; ``message`` is a sentence for whoever reads why, with what to do where it was refused."""

    gate: str
    passed: bool
    required: str
    found: str
    message: str


def run_gates(
    evaluation: Evaluation,
    *,
    signals: Sequence[FeatureSignal],
    parity: ParityEvidence,
    logged: LoggedEvidence | None = None,
    limits: GateLimits | None = None,
) -> tuple[GateResult, ...]:
    """Decide every gate, in a fixed order; the candidate passes when all results do.

    ``logged``: of the source's online decisions; None where it has none.
    """
    limits = limits or GateLimits()
    results = (
        _enough_loans(evaluation.overall("test"), limits),
        _reaches_floor(evaluation.overall("test"), limits),
        _no_worse_than_champion(evaluation, limits),
        _no_worse_than_logistic(evaluation, limits),
        _beats_base_rate(evaluation),
        _mean_is_calibrated(evaluation.overall("test"), limits),
        _bins_are_calibrated(evaluation.overall("test"), limits),
        _auc_is_plausible(evaluation, limits),
        _no_feature_knows_the_outcome(signals, limits),
        _offline_equals_online(parity, limits),
        _logged_features_equal_recomputed(logged or LoggedEvidence()),
    )
    return tuple(_with_moved_limits(result, limits) for result in results)


def refused(results: Sequence[GateResult]) -> tuple[GateResult, ...]:
    """The gates that refused; none means the candidate may be promoted."""
    return tuple(result for result in results if not result.passed)


def _with_moved_limits(result: GateResult, limits: GateLimits) -> GateResult:
    """A result that says which of its limits the lender moved, and why."""
    moved = [
        f"{name} moved to {getattr(limits, name)} by the lender: {limits.moved[name]}"
        for name in LIMITS_OF.get(result.gate, ())
        if name in limits.moved
    ]
    if not moved:
        return result
    note = f" ({'; '.join(moved)})"
    return replace(
        result,
        required=result.required + note,
        message=result.message.replace(result.required, result.required + note, 1),
    )


def _enough_loans(test: Metrics, limits: GateLimits) -> GateResult:
    return _result(
        "test_has_enough_loans",
        test.n >= limits.min_test_rows and test.n_defaults >= limits.min_test_defaults,
        required=f"at least {limits.min_test_rows:,} test loans, {limits.min_test_defaults:,} of them defaults",
        found=f"{test.n:,} test loans, {test.n_defaults:,} of them defaults",
        remedy="figures on so few loans decide nothing: ingest more months, or lengthen the test with the dbt variable "
        "test_months",
    )


def _reaches_floor(test: Metrics, limits: GateLimits) -> GateResult:
    return _result(
        "auc_reaches_floor",
        test.auc >= limits.min_auc,
        required=f"test AUC at least {limits.min_auc:.3f}",
        found=_auc(test),
        remedy="the features hardly tell good loans from bad ones: look at feature importance and at missing inputs",
    )


def _no_worse_than_champion(evaluation: Evaluation, limits: GateLimits) -> GateResult:
    gate = "no_worse_than_champion_out_of_time"
    if CHAMPION not in evaluation.comparisons:
        return GateResult(
            gate, True, "no worse than the champion", "no champion", "A first model: the absolute floors decide."
        )
    candidate, champion = evaluation.overall("test"), evaluation.overall("test", CHAMPION)
    auc, brier = evaluation.comparisons[CHAMPION].auc, evaluation.comparisons[CHAMPION].brier
    return _result(
        gate,
        is_no_worse(evaluation.comparisons[CHAMPION], limits),
        required=f"AUC at most {_allowed(auc, limits.auc_margin)} below and Brier at most "
        f"{_allowed(brier, limits.brier_margin)} above the champion's (version {evaluation.champion_version}) on the "
        "same test loans, neither significantly",
        found=f"AUC {_against(candidate.auc, champion.auc, auc)}; "
        f"Brier {_against(candidate.brier, champion.brier, brier)}",
        remedy="the champion stays; compare the two by month to see where the candidate is weaker",
    )


def _no_worse_than_logistic(evaluation: Evaluation, limits: GateLimits) -> GateResult:
    auc = evaluation.comparisons[LOGISTIC].auc
    ours, theirs = evaluation.overall("test").auc, evaluation.overall("test", LOGISTIC).auc
    return _result(
        "no_worse_than_logistic_baseline",
        _no_worse(auc, limits.auc_margin),
        required=f"AUC at most {_allowed(auc, limits.auc_margin)} below that of logistic regression on the same test "
        "loans, and not significantly",
        found=f"AUC {_against(ours, theirs, auc)}",
        remedy="trees that lose to a line have learned noise: lower max_depth or learning_rate, or ingest more loans",
    )


def _beats_base_rate(evaluation: Evaluation) -> GateResult:
    candidate, base = evaluation.overall("test"), evaluation.overall("test", BASE_RATE)
    return _result(
        "brier_beats_base_rate",
        candidate.brier < base.brier,
        required=f"test Brier below {base.brier:.4f}, that of giving every loan tune's default rate",
        found=f"{candidate.brier:.4f}",
        remedy="the probabilities say less than one number would: the default rate has moved since tune, or "
        "calibration failed; look at the calibration plot",
    )


def _mean_is_calibrated(test: Metrics, limits: GateLimits) -> GateResult:
    low, high = limits.mean_ratio
    ratio = test.mean_probability / test.default_rate if test.default_rate else NAN
    return _result(
        "mean_probability_matches_default_rate",
        low <= ratio <= high,
        required=f"mean probability {low:g} to {high:g} times the test default rate",
        found=f"{ratio:.2f} times (mean probability {test.mean_probability:.4f}, default rate {test.default_rate:.4f})",
        remedy="the level of risk has moved since tune: include later months, or wait until they mature",
    )


def _bins_are_calibrated(test: Metrics, limits: GateLimits) -> GateResult:
    limit = limits.max_excess_ece + test.ece_by_chance
    return _result(
        "calibration_error_is_small",
        test.ece <= limit,
        required=f"test ECE at most {limit:.4f} ({test.ece_by_chance:.4f} by chance on so many loans, and "
        f"{limits.max_excess_ece:g})",
        found=f"{test.ece:.4f}",
        remedy="look at the calibration plot; try another calibration method, or later tune months",
    )


def _auc_is_plausible(evaluation: Evaluation, limits: GateLimits) -> GateResult:
    train, test = evaluation.overall("train"), evaluation.overall("test")
    gap = train.auc - test.auc
    return _result(
        "auc_is_plausible",
        max(train.auc, test.auc) <= limits.max_auc and gap <= limits.max_train_test_gap,
        required=f"train and test AUC at most {limits.max_auc:g}, and train at most {limits.max_train_test_gap:g} "
        "above test",
        found=f"train {train.auc:.4f}, test {test.auc:.4f}, gap {gap:+.4f}",
        remedy="a feature written after the decision may be leaking, or the trees memorise: check the known_at of what "
        "the most important features read, then lower max_depth; where every feature is honest, move the limit in the "
        "lender's file (warehouse/lenders/), with the reason",
    )


def _no_feature_knows_the_outcome(signals: Sequence[FeatureSignal], limits: GateLimits) -> GateResult:
    honest = limits.honest_features
    suspects = [text for signal in signals if signal.feature not in honest for text in _suspicions(signal, limits)]
    strongest = max(signals, key=lambda signal: signal.auc, default=None)
    if suspects:
        found = "; ".join(suspects)
    else:
        found = f"strongest: {strongest.feature}, AUC {strongest.auc:.3f}" if strongest else "no features"
    known = {signal.feature: signal for signal in signals}
    for name, why in honest.items():
        shown = f"AUC {known[name].auc:.3f}" if name in known else "not a feature of this version"
        found += f"; {name} ({shown}) is stated to be honest: {why}"
    return _result(
        "no_feature_knows_the_outcome",
        not suspects,
        required=f"no single feature with AUC above {limits.max_feature_auc:g}, none whose absence alone has AUC above "
        f"{limits.max_missing_auc:g}, none that sets apart more than {limits.max_isolated:.0%} of defaults almost pure",
        found=found,
        remedy="find when each was written: one written after the decision must go; of one that is honest, say why "
        "under honest_features in the lender's file (warehouse/lenders/)",
    )


def _suspicions(signal: FeatureSignal, limits: GateLimits) -> list[str]:
    texts = []
    if signal.auc > limits.max_feature_auc:
        texts.append(f"{signal.feature} alone has AUC {signal.auc:.3f}")
    if signal.missing_auc > limits.max_missing_auc:
        texts.append(f"absence of {signal.feature} alone has AUC {signal.missing_auc:.3f}")
    if signal.isolated > limits.max_isolated:
        texts.append(f"{signal.feature} sets apart {signal.isolated:.0%} of defaults almost pure")
    return texts


def _offline_equals_online(parity: ParityEvidence, limits: GateLimits) -> GateResult:
    found = (
        f"{parity.n_mismatches:,} of {parity.n_rows:,} rows differ, probabilities by {parity.max_onnx_difference:.1e}"
    )
    return _result(
        "offline_equals_online",
        parity.n_rows > 0 and parity.n_mismatches == 0 and parity.max_onnx_difference <= limits.max_onnx_difference,
        required="every feature equal to the bit on real rows, online and offline, and the served model's "
        f"probabilities within {limits.max_onnx_difference:g} of the booster's",
        found=f"{found} ({parity.first_mismatch})" if parity.first_mismatch else found,
        remedy="the request path would not compute what the model was trained on: run the property tests of "
        "warehouse/features/expressions.py on the feature named",
    )


def _logged_features_equal_recomputed(logged: LoggedEvidence) -> GateResult:
    found = f"{logged.n_different:,} of {logged.n_decisions:,} online decisions differ"
    if logged.worst:
        found += f" ({logged.worst})"
    if logged.n_without_bundle:
        found += f"; {logged.n_without_bundle:,} more are of versions whose bundle is gone"
    return _result(
        LOGGED_FEATURES,
        logged.n_different == 0,
        required="every logged feature of this source's recent online decisions equal to the bit to what its version's "
        "SQL makes of the logged inputs",
        found=found,
        remedy="what was served is not what the warehouse computes: see monitoring.feature_skew, replay a decision it "
        "names, mend the request path, then set LOANLAKE_SKEW_SINCE to the time of the mend and train again",
    )


def is_no_worse(comparison: Comparison, limits: GateLimits) -> bool:
    """Whether a candidate is neither visibly nor significantly worse than another model, in AUC and Brier score."""
    return _no_worse(comparison.auc, limits.auc_margin) and _no_worse(_gain(comparison.brier), limits.brier_margin)


def against(difference: Difference) -> str:
    """A difference with its 95 % interval, for a message."""
    return f"{difference.value:+.4f}, {difference.low:+.4f} to {difference.high:+.4f}"


def _no_worse(gain: Difference, margin: float) -> bool:
    return gain.value >= -max(margin, gain.standard_error) and not gain.high < 0


def _gain(loss: Difference) -> Difference:
    """The same difference of a figure of which less is better."""
    return Difference(-loss.value, loss.standard_error, -loss.high, -loss.low, loss.p_value)


def _allowed(difference: Difference, margin: float) -> str:
    if difference.standard_error > margin:
        return f"{difference.standard_error:.4f} (one standard error)"
    return f"{margin:g}"


def _against(ours: float, theirs: float, difference: Difference) -> str:
    return f"{ours:.4f} against {theirs:.4f} ({against(difference)})"


def _auc(metrics: Metrics) -> str:
    return f"{metrics.auc:.4f} ({metrics.auc_low:.4f} to {metrics.auc_high:.4f})"


def _result(gate: str, passed: bool, *, required: str, found: str, remedy: str) -> GateResult:
    message = f"Required {required}; found {found}." + ("" if passed else f" Refused: {remedy}.")
    return GateResult(gate, bool(passed), required, found, message)
