"""Each gate made true and false, by evaluations with the figures in question."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import get_type_hints

import pytest

from ml.families.catalogue import require_family
from ml.families.protocol import Guarantees
from ml.judging.ensemble_gate import BeatsItsBestMember
from ml.judging.evaluation import Comparison, Evaluation, Measured
from ml.judging.gate import Evidence, Gate, GateLimits, GateResult, LoggedEvidence, Override, ParityEvidence, Size
from ml.judging.gates import GATES, NEVER_OVERRIDDEN, SHADOW_ALLOWED, enough_loans, refused, run_gates
from ml.judging.intervals import IntervalFigures
from ml.judging.leakage import FeatureSignal
from ml.judging.metrics import Metrics, PairedDifference
from orchestration.commands import run
from warehouse.lenders.keys import holds
from warehouse.lenders.lender import Lender

GOOD = Metrics(
    n=4000, n_defaults=600, default_rate=0.15, mean_probability=0.15, auc=0.70, auc_low=0.68, auc_high=0.72, gini=0.40,
    ks=0.30, brier=0.120, log_loss=0.40, ece=0.010, ece_by_chance=0.012, cut_off=0.2, decline_rate=0.2, precision=0.3,
    recall=0.4, f1=0.34, true_positives=240, false_positives=560, true_negatives=2840, false_negatives=360,
)  # fmt: skip
HONEST = FeatureSignal("loan_to_income", auc=0.62, missing_auc=0.51, isolated=0.0)
WRONG = LoggedEvidence(n_decisions=9, n_different=1)
PARITY = ParityEvidence(n_rows=1000, n_mismatches=0, max_score_difference=0.0)
EXACT = Guarantees(score_bound=0.0, reasons_are_exact=True, keeps_directions=True)


def _difference(value: float, error: float) -> PairedDifference:
    return PairedDifference(value, error, value - 1.96 * error, value + 1.96 * error, p_value=0.5)


NO_INTERVALS = IntervalFigures(0.01, 0.0, 0.0, by_score=(), by_month=())
SAME = Comparison(auc=_difference(0.0, 0.0), brier=_difference(0.0, 0.0))


def _evaluation(
    test: Metrics = GOOD,
    *,
    train: Metrics | None = None,
    base: Metrics | None = None,
    comparisons: Mapping[str, Comparison] | None = None,
) -> Evaluation:
    comparisons = {"logistic": SAME} | dict(comparisons or {})
    measured = [
        Measured("train", None, "candidate", train or replace(GOOD, auc=0.73)),
        Measured("test", None, "candidate", test),
        Measured("test", None, "base_rate", base or replace(GOOD, auc=0.5, brier=0.1275)),
        *(Measured("test", None, model, GOOD) for model in comparisons),
    ]
    version = 3 if "champion" in comparisons else None
    return Evaluation(tuple(measured), comparisons, NO_INTERVALS, version, feature_importance={})


def _gate(
    name: str,
    evaluation: Evaluation | None = None,
    *,
    signals: tuple[FeatureSignal, ...] = (HONEST,),
    parity: ParityEvidence = PARITY,
    guarantees: Guarantees = EXACT,
    limits: GateLimits | None = None,
) -> GateResult:
    [gate] = [gate for gate in GATES if gate.name == name]
    return gate.decide(Evidence(evaluation or _evaluation(), signals, parity, guarantees), limits or GateLimits())


def test_a_good_first_model_passes_every_gate() -> None:
    assert refused(run_gates(Evidence(_evaluation(), (HONEST,), PARITY, EXACT))) == ()


def test_all_gates_are_decided_whatever_the_first_one_says() -> None:
    """One run must show everything that is wrong, not the first of it."""
    bad = replace(GOOD, n=10, n_defaults=2, auc=0.55, ece=0.2, mean_probability=0.5)

    results = run_gates(
        Evidence(_evaluation(bad), (), replace(PARITY, n_mismatches=1), replace(EXACT, reasons_are_exact=False), WRONG)
    )

    assert [result.gate for result in refused(results)] == [
        "test_has_enough_loans",
        "auc_reaches_floor",
        "mean_probability_matches_default_rate",
        "calibration_error_is_small",
        "auc_is_plausible",
        "offline_equals_online",
        "reasons_are_exact",
        "logged_features_equal_recomputed",
    ]


def test_each_gate_is_named_once_and_claims_something_in_a_sentence() -> None:
    assert len({gate.name for gate in GATES}) == len(GATES)
    assert all(gate.claim.endswith(".") and not gate.remedy.endswith(".") for gate in GATES)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_what_a_remedy_names_is_a_key_of_a_lenders_file(gate: Gate) -> None:
    """A person who follows it must find the option."""
    for named in re.findall(r"`([a-z_.]+)`", gate.remedy):
        hints = get_type_hints(Lender, include_extras=True)
        for part in named.split("."):
            assert part in hints
            hints = get_type_hints(holds(hints[part]) or type, include_extras=True)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_a_command_that_a_remedy_names_has_its_options_and_family(gate: Gate) -> None:
    options = {name for parameter in run.params for name in parameter.opts}

    for command in re.findall("`loanlake run ([^`]+)`", gate.remedy):
        assert set(re.findall(r"--[a-z-]+", command)) <= options
        for family in re.findall(r"--family (\w+)", command):
            require_family(family, "--family")


def test_a_leak_parity_and_what_is_served_are_never_overridden() -> None:
    assert sorted(NEVER_OVERRIDDEN) == [
        "auc_is_plausible",
        "logged_features_equal_recomputed",
        "no_feature_knows_the_outcome",
        "offline_equals_online",
    ]


def test_a_refusal_says_required_found_and_what_to_do() -> None:
    few = _evaluation(replace(GOOD, n=4000, n_defaults=49))
    months = (Measured("train", "2024-01", "candidate", GOOD), Measured("test", "2024-02", "candidate", GOOD))
    result = _gate("test_has_enough_loans", replace(few, measured=(*few.measured, *months)))

    assert not result.passed
    assert result.required == "at least 500 test loans, 50 of them defaults"
    assert result.found == "4,000 test loans, 49 of them defaults"
    assert result.message.startswith(f"Required {result.required}; found {result.found}. Refused: ")
    assert "test_months" in result.message


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        # .146 of 2,000; 500 are a quarter of them
        (
            Size(1708, 500),
            Size(292, 88),
            "at the test's share of 15%, ingest 3,425 loans with labels (found 2,000); or give the test more of them, "
            "and train less, with `split.max_share` of at least 0.25, `split.min_rows` of 500 and "
            "`split.min_defaults` of 50 in the lender's file",
        ),
        # a quarter of 2,400 loans with 80 defaults: 50 would be more than .45 of them
        (Size(1800, 60), Size(600, 20), "at the test's share of 25%, ingest 200 defaults (found 80)"),
        (Size(0, 0), Size(2, 1), "figures on so few loans decide nothing: ingest more loans"),
        (Size(90, 30), Size(0, 0), "figures on so few loans decide nothing: ingest more loans"),
    ],
)
def test_a_random_split_is_told_how_many_loans_it_needs_and_what_acts_on_it(train: Size, test: Size, said: str) -> None:
    """Months do nothing there."""
    finding = enough_loans({"train": train, "test": test}, GateLimits(), is_random=True)

    assert not finding.passed
    assert said in finding.remedy
    assert "months" not in finding.remedy
    assert ("max_share" in finding.remedy) == ("max_share" in said)


def test_the_gate_knows_a_random_split_by_its_months() -> None:
    few = _evaluation(replace(GOOD, n=400, n_defaults=60), train=replace(GOOD, n=1200, n_defaults=180))

    message = _gate("test_has_enough_loans", few).message

    assert "at the test's share of 25%, ingest 2,000 loans with labels (found 1,600)" in message


def test_a_pass_says_what_was_found_and_no_more() -> None:
    assert _gate("auc_reaches_floor").message == ("Required test AUC at least 0.600; found 0.7000 (0.6800 to 0.7200).")


@pytest.mark.parametrize(
    ("gate", "metrics"),
    [
        ("test_has_enough_loans", {"n": 499}),
        ("auc_reaches_floor", {"auc": 0.599}),
        ("auc_reaches_floor", {"auc": float("nan")}),
        ("brier_beats_base_rate", {"brier": 0.1275}),
        ("mean_probability_matches_default_rate", {"mean_probability": 0.11}),
        ("mean_probability_matches_default_rate", {"mean_probability": 0.201}),
        ("mean_probability_matches_default_rate", {"default_rate": 0.0}),
        ("calibration_error_is_small", {"ece": 0.043}),
        ("auc_is_plausible", {"auc": 0.951}),
        ("auc_is_plausible", {"auc": 0.609}),
    ],
)
def test_a_figure_beyond_its_limit_is_refused(gate: str, metrics: dict[str, float]) -> None:
    """The last: train at .73 is more than .12 above."""
    assert not _gate(gate, _evaluation(replace(GOOD, **metrics))).passed  # type: ignore[arg-type]


def test_calibration_is_judged_beyond_what_chance_explains() -> None:
    """On few loans even a perfect model has an ECE of .04; the same figure on many loans is a fault."""
    few, many = replace(GOOD, ece=0.05, ece_by_chance=0.04), replace(GOOD, ece=0.05, ece_by_chance=0.005)

    assert _gate("calibration_error_is_small", _evaluation(few)).passed
    assert not _gate("calibration_error_is_small", _evaluation(many)).passed


@pytest.mark.parametrize(
    ("value", "error", "passed"),
    [
        (0.0, 0.0, True),
        (-0.004, 0.003, True),
        (-0.006, 0.004, False),
        (-0.004, 0.001, False),
        (-0.010, 0.011, True),
        (-0.012, 0.011, False),
        (+0.020, 0.005, True),
        (float("nan"), float("nan"), False),
    ],
    ids=[
        "the same model",
        "a little worse, within margin",
        "worse than the margin",
        "within margin, but significantly worse",
        "a small test: within its noise",
        "a small test: worse than its noise",
        "better",
        "not measurable",
    ],
)
@pytest.mark.parametrize(
    ("gate", "model"),
    [("no_worse_than_champion_out_of_time", "champion"), ("no_worse_than_logistic_baseline", "logistic")],
)
def test_no_worse_means_neither_visibly_nor_significantly(
    gate: str, model: str, value: float, error: float, passed: bool
) -> None:
    comparison = Comparison(auc=_difference(value, error), brier=_difference(0.0, 0.0))

    assert _gate(gate, _evaluation(comparisons={model: comparison})).passed is passed


@pytest.mark.parametrize(("loss", "passed"), [(-0.01, True), (0.0009, True), (0.0011, False)])
def test_a_champion_is_not_replaced_by_worse_probabilities(loss: float, passed: bool) -> None:
    """A candidate that ranks as well but is off in level would misprice every loan."""
    comparison = Comparison(auc=_difference(0.0, 0.0), brier=_difference(loss, 0.0008))

    result = _gate("no_worse_than_champion_out_of_time", _evaluation(comparisons={"champion": comparison}))

    assert result.passed is passed
    assert "(version 3)" in result.required


def test_a_small_tests_allowance_is_stated() -> None:
    comparison = Comparison(auc=_difference(-0.02, 0.011), brier=_difference(0.0, 0.0))

    result = _gate("no_worse_than_logistic_baseline", _evaluation(comparisons={"logistic": comparison}))

    assert "at most 0.0110 (one standard error) below" in result.required


@pytest.mark.parametrize(
    ("gain", "passes"), [(_difference(0.003, 0.001), True), (_difference(0.003, 0.002), False), (SAME.auc, False)]
)
def test_an_ensemble_must_be_better_than_its_best_member_by_tune_rows(gain: PairedDifference, passes: bool) -> None:
    """The member that is best on the test has no part in it: to choose it there would use the test twice."""
    evaluation = _evaluation(comparisons={"member_trees": Comparison(gain, SAME.brier), "member_line": SAME})
    of_tune = [("member_trees", 0.39), ("member_line", 0.40)]
    measured = [Measured("tune", None, name, replace(GOOD, log_loss=loss)) for name, loss in of_tune]

    result = _gate("ensemble_beats_its_best_member", replace(evaluation, measured=(*evaluation.measured, *measured)))

    assert result.passed == passes
    assert "above that of trees, the best member by tune rows" in result.required
    assert f"{gain.value:+.4f}, {gain.low:+.4f} to {gain.high:+.4f}" in result.found


@pytest.mark.parametrize(
    ("gain", "passes"), [(SAME.auc, True), (_difference(-0.003, 0.002), True), (_difference(-0.003, 0.001), False)]
)
def test_a_refresh_of_an_overridden_ensemble_must_not_be_shown_to_be_worse(
    gain: PairedDifference, passes: bool
) -> None:
    """The cost was accepted by a person, a loss was not."""
    evaluation = _evaluation(comparisons={"member_trees": Comparison(gain, SAME.brier)})
    tune = Measured("tune", None, "member_trees", GOOD)
    evaluation = replace(evaluation, measured=(*evaluation.measured, tune))
    overrides = {"ensemble_beats_its_best_member": Override(3, "ann", "worth it")}
    evidence = Evidence(evaluation, (HONEST,), PARITY, EXACT, overrides=overrides)

    result = BeatsItsBestMember().decide(evidence, GateLimits())

    assert result.passed == passes
    assert "(ann overrode the gate for version 3, which this one refreshes: worth it)" in result.required


def test_a_single_model_has_no_member_to_beat() -> None:
    assert _gate("ensemble_beats_its_best_member").passed


@pytest.mark.parametrize(
    ("signal", "text"),
    [
        (replace(HONEST, auc=0.86), "loan_to_income alone has AUC 0.860"),
        (replace(HONEST, missing_auc=0.76), "absence of loan_to_income alone has AUC 0.760"),
        (replace(HONEST, isolated=0.4), "loan_to_income sets apart 40% of defaults almost pure"),
    ],
)
def test_a_feature_that_knows_the_outcome_is_named(signal: FeatureSignal, text: str) -> None:
    result = _gate("no_feature_knows_the_outcome", signals=(HONEST, signal))

    assert not result.passed
    assert result.found == text


@pytest.mark.parametrize(
    "parity",
    [
        replace(PARITY, n_mismatches=1, first_mismatch="sim-7: loan_to_income 0.1 online, 0.2 offline"),
        replace(PARITY, max_score_difference=1e-9),
        replace(PARITY, n_rows=0),
        replace(PARITY, max_score_difference=float("nan")),
    ],
    ids=["a feature differs", "the served form differs", "nothing compared", "the served form gave nan"],
)
def test_a_model_that_would_be_served_otherwise_than_trained_is_refused(parity: ParityEvidence) -> None:
    result = _gate("offline_equals_online", parity=parity)

    assert not result.passed
    assert (parity.first_mismatch or "") in result.found
    assert "equal to the bit to those of the model" in result.required


@pytest.mark.parametrize(("difference", "passed"), [(1e-5, True), (1.1e-5, False)])
def test_scores_are_held_to_the_bound_that_the_family_states(difference: float, passed: bool) -> None:
    bounded = replace(EXACT, score_bound=1e-5)

    result = _gate("offline_equals_online", parity=replace(PARITY, max_score_difference=difference), guarantees=bounded)

    assert result.passed is passed
    assert "within 1e-05 in log-odds of those of the model" in result.required


def test_estimated_reasons_are_refused_with_the_two_ways_that_are_left() -> None:
    result = _gate("reasons_are_exact", guarantees=replace(EXACT, reasons_are_exact=False))

    assert not result.passed
    assert result.message.startswith("Required a family whose reasons are exact; found estimated reasons. Refused: ")
    assert "--shadow" in result.message
    assert "named person" in result.message
    assert {"reasons_are_exact"} == SHADOW_ALLOWED


def test_a_lender_may_move_a_limit() -> None:
    limits = GateLimits({"min_test_rows": 100, "min_test_defaults": 10})

    few = _evaluation(replace(GOOD, n=150, n_defaults=20))

    assert not _gate("test_has_enough_loans", few).passed
    assert _gate("test_has_enough_loans", few, limits=limits).passed


def test_an_honest_feature_refuses_nothing_and_is_shown_with_the_statement() -> None:
    """A bureau score of AUC .93 was refused for good."""
    bureau = FeatureSignal("bureau_score", auc=0.93, missing_auc=0.5, isolated=0.0)
    limits = GateLimits(honest_features={"bureau_score": "bought before the decision"})

    refusal = _gate("no_feature_knows_the_outcome", signals=(HONEST, bureau))
    stated = _gate("no_feature_knows_the_outcome", signals=(HONEST, bureau), limits=limits)

    assert not refusal.passed
    assert "say why under `honest_features`" in refusal.message
    assert stated.passed
    assert "bureau_score (AUC 0.930) is stated to be honest: bought before the decision" in stated.message


def test_a_statement_about_one_feature_says_nothing_of_another() -> None:
    leak = FeatureSignal("recoveries", auc=0.93, missing_auc=0.5, isolated=0.6)
    limits = GateLimits(honest_features={"bureau_scor": "misspelt"})

    result = _gate("no_feature_knows_the_outcome", signals=(HONEST, leak), limits=limits)

    assert not result.passed
    assert "bureau_scor (not a feature of this version)" in result.found


def test_a_moved_limit_is_in_the_message_with_its_reason() -> None:
    limits = GateLimits({"max_auc": 0.98}, moved={"max_auc": "minutes 2026-11"})
    high = _evaluation(replace(GOOD, auc=0.96), train=replace(GOOD, auc=0.97))

    result = _gate("auc_is_plausible", high, limits=limits)

    assert result.passed
    assert "max_auc moved to 0.98 by the lender: minutes 2026-11" in result.required
    assert result.required in result.message
    assert "moved" not in _gate("auc_reaches_floor", high, limits=limits).message
