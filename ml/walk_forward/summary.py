"""Results of a walk: one line per policy, on the months that all of them decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from ml.walk_forward.plan import POLICIES, RetrainingPolicy
from ml.walk_forward.results import WalkedMonth


@dataclass(frozen=True)
class PolicySummary:
    """A policy's figures over the mature decisions of the months in which every policy had a champion.

    ``auc``, ``brier`` and ``ece`` are means over months, weighted by mature decisions. ``calibration_gap``: mean
    probability minus default rate, over all. ``n_trained`` and ``n_promoted`` count all months walked, ``n_months``
    those with figures.
    """

    policy: RetrainingPolicy
    n_months: int
    first: date | None
    n_trained: int
    n_promoted: int
    n_mature: int
    default_rate: float | None
    calibration_gap: float | None
    auc: float | None
    brier: float | None
    ece: float | None


def summarise(months: Sequence[WalkedMonth]) -> list[PolicySummary]:
    """One summary for each policy that was walked, in the order never, monthly, drift."""
    by_policy = {policy: [row for row in months if row.policy == policy] for policy in POLICIES}
    walked = {policy: rows for policy, rows in by_policy.items() if rows}
    decided = [{row.month for row in rows if row.champion is not None} for rows in walked.values()]
    shared = set.intersection(*decided) if decided else set()
    return [_summary(policy, rows, shared) for policy, rows in walked.items()]


def _summary(policy: RetrainingPolicy, rows: Sequence[WalkedMonth], shared: set[date]) -> PolicySummary:
    judged = [row for row in rows if row.month in shared and row.n_mature]
    return PolicySummary(
        policy=policy,
        n_months=len(judged),
        first=min((row.month for row in judged), default=None),
        n_trained=sum(row.is_retrained for row in rows),
        n_promoted=sum(row.is_promoted for row in rows),
        n_mature=sum(row.n_mature or 0 for row in judged),
        default_rate=_mean(judged, "default_rate"),
        calibration_gap=_mean(judged, "calibration_gap"),
        auc=_mean(judged, "auc"),
        brier=_mean(judged, "brier"),
        ece=_mean(judged, "ece"),
    )


def _mean(rows: Sequence[WalkedMonth], figure: str) -> float | None:
    known = [(value, row.n_mature or 0) for row in rows if (value := getattr(row, figure)) is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None
