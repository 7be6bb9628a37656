"""Policies are compared on the months that all of them decided, weighted by their decisions."""

import pytest

from ml.walk_forward.summary import summarise
from tests.unit.ml.walk_forward.walked_months import walked_month


def judged(number: int, policy: str, n: int, auc: float, rate: float, probability: float, *, promoted: bool = False):
    return walked_month(
        number, policy, n_mature=n, n_defaults=round(n * rate), default_rate=rate, mean_probability=probability,
        auc=auc, brier=0.1, ece=0.02, is_retrained=True, is_promoted=promoted,
    )  # fmt: skip


def test_by_hand() -> None:
    months = [
        judged(1, "never", 100, 0.9, 0.5, 0.5, promoted=True),  # monthly had no champion: not compared
        judged(2, "never", 100, 0.60, 0.10, 0.12),
        judged(3, "never", 300, 0.68, 0.20, 0.22),
        walked_month(1, "monthly", champion=None, n_decisions=0, n_mature=0, score_psi=None),
        judged(2, "monthly", 100, 0.70, 0.10, 0.10, promoted=True),
        judged(3, "monthly", 300, 0.70, 0.20, 0.21, promoted=True),
    ]

    never, monthly = summarise(months)

    assert (never.policy, never.n_months, never.first, never.n_mature) == ("never", 2, months[1].month, 400)
    assert (never.n_trained, never.n_promoted, monthly.n_promoted) == (3, 1, 2)
    assert never.auc == pytest.approx((0.60 * 100 + 0.68 * 300) / 400)
    assert never.default_rate == pytest.approx(0.175)
    assert never.calibration_gap == pytest.approx(0.02)
    assert monthly.calibration_gap == pytest.approx(0.0075)


def test_policies_without_a_month_in_common_have_no_figures() -> None:
    found = summarise([judged(1, "never", 100, 0.6, 0.1, 0.1), judged(2, "drift", 100, 0.6, 0.1, 0.1)])

    assert [(row.policy, row.n_mature, row.auc) for row in found] == [("never", 0, None), ("drift", 0, None)]
    assert summarise([]) == []
