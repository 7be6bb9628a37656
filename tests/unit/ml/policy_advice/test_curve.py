"""Profit by cut-off by hand, and against the definition on every cut-off."""

import numpy as np
import pytest

from ml.policy_advice.curve import ProfitCurve
from ml.training.policy import CutOffRule
from warehouse.errors import SettingError

RULE = CutOffRule(margin=0.2, loss_given_default=0.5, cost_of_capital=0.05, declined_good_cost=0.1)


def hundreds() -> ProfitCurve:
    """100 loans at 0.1 of which 10 default, 100 at 0.4 of which 40 do."""
    return ProfitCurve(np.repeat([0.1, 0.4], 100), [i % 100 < (10 if i < 100 else 40) for i in range(200)], RULE)


def random_loans() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    p = random.beta(1.5, 6, 3000).round(2)  # many are equal
    return p, random.random(3000) < p, random.uniform(100, 5000, 3000)


def test_figures_of_a_cut_off_by_hand() -> None:
    """Approved: 90 good, 10 bad. Declined: 60 good. (90 × .15 − 10 × .55 − 60 × .1) / 200 = .01."""
    found = hundreds().at(0.2)

    assert (found.n_approved, found.n_false_approvals, found.n_false_declines) == (100, 10, 60)
    assert found.revenue == pytest.approx(90 * 0.2 / 200)
    assert found.realised_loss == pytest.approx(10 * 0.5 / 200)
    assert found.expected_loss == pytest.approx(100 * 0.1 * 0.5 / 200)
    assert found.false_decline_cost == pytest.approx(60 * (0.2 - 0.05 + 0.1) / 200)
    assert found.profit == pytest.approx(0.01)
    # mean of squares: (90 × .15² + 10 × .55² + 60 × .1²) / 200 = .02825
    assert found.profit_high - found.profit == pytest.approx(1.959964 * np.sqrt((0.02825 - 0.01**2) / 200))


def test_a_move_changes_the_loans_between_the_cut_offs_alone() -> None:
    """Approving the second hundred: 60 good ones give .15 + .1, 40 bad ones −.55."""
    up, down = hundreds().move(0.2, 1.0), hundreds().move(1.0, 0.2)

    assert (up.n_newly_approved, up.n_newly_declined) == (100, 0)
    assert up.gain == pytest.approx((60 * 0.25 - 40 * 0.55) / 200)
    assert (down.gain, down.low, down.n_newly_declined) == pytest.approx((-up.gain, -up.high, 100))


@pytest.mark.parametrize("weigh", [False, True])
def test_every_cut_off_has_the_profit_of_its_definition(weigh: bool) -> None:
    p, bad, amounts = random_loans()
    curve = ProfitCurve(p, bad, RULE, amounts=amounts if weigh else None)
    approved, declined = RULE.worth(bad)
    weights = amounts / amounts.mean() if weigh else np.ones(len(p))

    cut_offs, profits, _, _ = curve.drawn(most=10_000)

    assert len(cut_offs) == len(np.unique(p)) + 1
    by_definition = [np.mean(np.where(p < cut_off, approved, declined) * weights) for cut_off in cut_offs]
    np.testing.assert_allclose(profits, by_definition, atol=1e-12)
    if not weigh:
        assert curve.at(0.2).profit == pytest.approx(RULE.profit_per_loan(p >= 0.2, bad))


def test_a_far_too_low_cut_off_is_shown_to_cost_money() -> None:
    p, bad, _ = random_loans()
    curve = ProfitCurve(p, bad, RULE)

    best = curve.best(in_force=0.03)

    assert best.is_shown
    assert best.low <= best.cut_off <= best.high
    assert best.gain < curve.move(0.03, best.cut_off).gain  # choosing and measuring on the same loans flatters


def test_noise_is_no_evidence_for_another_cut_off() -> None:
    """The cut-off in force is where calibrated loans stop paying; what earned more did so by chance."""
    p, bad, _ = random_loans()

    best = ProfitCurve(p, bad, RULE).best(in_force=RULE.break_even)

    assert not best.is_shown


def test_few_defaults_judge_no_cut_off() -> None:
    with pytest.raises(SettingError, match=r"at least 50 matured loans that defaulted .* found 49 and 151"):
        ProfitCurve(np.linspace(0.1, 0.9, 200), np.arange(200) < 49, RULE)
