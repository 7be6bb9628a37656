"""Cut-offs and bands by hand."""

import json
from dataclasses import asdict

import msgspec
import numpy as np
import pytest

from ml.training.policy import DECISION_WORDS, DEFAULT_BANDS, Band, CutOffRule, Policy
from warehouse.errors import SettingError


def test_the_profit_rule_declines_from_where_a_loan_stops_paying() -> None:
    """At the cut-off the expected profit is nil: 0.8 · 0.15 = 0.2 · 0.60."""
    assert CutOffRule(margin=0.15, loss_given_default=0.60).cut_off([]) == 0.2


def test_no_other_cut_off_earns_more_on_calibrated_loans() -> None:
    random = np.random.default_rng(1)
    probability = random.beta(1.2, 6, 200_000)
    rule = CutOffRule(margin=0.1, loss_given_default=0.5)

    def profit(cut_off: float) -> float:
        approved = probability[probability < cut_off]
        return float(((1 - approved) * rule.margin - approved * rule.loss_given_default).sum())

    best = rule.cut_off(probability)

    assert all(profit(best) > profit(other) for other in (best - 0.02, best + 0.02, 0.5, 1.0))


def test_the_volume_rule_approves_its_share_of_tune_rows() -> None:
    probabilities = np.linspace(0.005, 0.995, 100)

    policy = Policy(CutOffRule(rule="approval_rate", approval_rate=0.7).cut_off(probabilities))

    assert (probabilities >= policy.cut_off).sum() == 30


def test_a_fixed_cut_off_is_taken_as_it_is() -> None:
    assert CutOffRule(rule="fixed", probability=0.3).cut_off([]) == 0.3


@pytest.mark.parametrize(
    ("probability", "decision", "band"),
    [
        (0.0, "approve", "very_low"),
        (0.019, "approve", "very_low"),
        (0.02, "approve", "low"),
        (0.199, "approve", "elevated"),
        (0.20, "decline", "high"),
        (1.0, "decline", "very_high"),
    ],
)
def test_a_probability_on_a_bound_belongs_to_the_riskier_side(probability: float, decision: str, band: str) -> None:
    policy = Policy(cut_off=0.2)

    assert policy.decide(probability, 0.0, 1.0) == decision
    assert policy.band(probability) == band


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [
        pytest.param(0.15, 0.25, "refer", id="wider than the width around the cut-off"),
        pytest.param(0.1875, 0.25, "approve", id="just the width is not wider"),
        pytest.param(0.1, 0.2, "approve", id="the cut-off at the end is not inside"),
        pytest.param(0.05, 0.19, "approve", id="wide, but below the cut-off"),
    ],
)
def test_a_wide_interval_across_the_cut_off_is_referred(low: float, high: float, decision: str) -> None:
    assert Policy(cut_off=0.2, refer_width=0.0625).decide(0.19, low, high) == decision


@pytest.mark.parametrize("refer_width", [None, 0.0, 0.1])
def test_many_are_decided_as_one_is(refer_width: float | None) -> None:
    policy = Policy(cut_off=0.2, refer_width=refer_width)
    probabilities = np.append(np.linspace(0, 1, 201), [band.upper for band in DEFAULT_BANDS])

    assert [policy.bands[code].name for code in policy.band_codes(probabilities)] == [
        policy.band(value) for value in probabilities
    ]
    low, high = probabilities * 0.7, probabilities * 1.2
    decided = [DECISION_WORDS[code] for code in policy.decision_codes(probabilities, low, high)]
    assert decided == [policy.decide(*each) for each in zip(probabilities, low, high, strict=True)]
    assert ("refer" in decided) == (refer_width is not None)


def test_json_carries_the_whole_of_it() -> None:
    policy = Policy(
        0.25, CutOffRule(rule="approval_rate", approval_rate=0.6), (Band("good", 0.5), Band("bad", 1.0)), 0.03
    )

    assert msgspec.convert(json.loads(json.dumps(asdict(policy))), Policy) == policy


@pytest.mark.parametrize(
    "bands",
    [
        (),
        (Band("a", 0.5), Band("b", 0.5), Band("c", 1.0)),
        (Band("a", 0.5), Band("b", 0.9)),
        (Band("a", 0.0), Band("b", 1.0)),
    ],
    ids=["none", "equal bounds", "ends below 1", "starts at 0"],
)
def test_bands_that_leave_a_probability_out_are_refused(bands: tuple[Band, ...]) -> None:
    with pytest.raises(SettingError, match="rising upper bounds that end at 1"):
        Policy(0.2, bands=bands)


def test_two_bands_of_one_name_are_refused() -> None:
    with pytest.raises(SettingError, match="different names"):
        Policy(0.2, bands=(Band("a", 0.5), Band("a", 1.0)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin": 0.0}, "margin must be a positive fraction"),
        ({"loss_given_default": float("inf")}, "loss_given_default must be a positive fraction"),
        ({"approval_rate": 1.0}, r"approval_rate must be within \(0, 1\): found 1.0"),
        ({"rule": "gut"}, "found 'gut'"),
    ],
)
def test_a_rule_that_cannot_give_a_cut_off_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        CutOffRule(**settings)  # type: ignore[arg-type]


def test_a_cut_off_outside_the_probabilities_is_refused() -> None:
    with pytest.raises(SettingError, match=r"within \(0, 1\]: found 0"):
        Policy(0.0)


def test_a_width_beyond_every_interval_is_refused() -> None:
    with pytest.raises(SettingError, match=r"refer_width must be within \[0, 1\), or None: found 1"):
        Policy(0.2, refer_width=1.0)


def test_profit_is_what_the_approved_loans_came_to() -> None:
    """Two good loans approved, one bad one; one of each declined: (2 × 0.15 − 0.60) / 5."""
    declined, defaulted = [False, False, False, True, True], [False, False, True, True, False]

    profit = CutOffRule(margin=0.15, loss_given_default=0.6).profit_per_loan(declined, defaulted)

    assert profit == pytest.approx(-0.06)


def test_dear_capital_lowers_the_cut_off_and_dear_declines_raise_it() -> None:
    """At the bound a loan is worth declining it: .3125 · (−.5) + .6875 · .2 − .05 = −.1 · .6875."""
    rule = CutOffRule(margin=0.2, loss_given_default=0.5, cost_of_capital=0.05, declined_good_cost=0.1)

    assert rule.cut_off([]) == 0.3125
    assert rule.profit_per_loan([False, False, True, True], [False, True, False, True]) == pytest.approx(
        (0.15 - 0.55 - 0.1 + 0) / 4
    )


def test_capital_that_eats_the_margin_is_refused() -> None:
    with pytest.raises(SettingError, match=r"no loan pays: found 0.4 against 0.2 and 0.1"):
        CutOffRule(margin=0.2, cost_of_capital=0.4, declined_good_cost=0.1)
