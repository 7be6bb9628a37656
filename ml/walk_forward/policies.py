"""When to train: at the start of a month, by what monitoring knows then."""

from collections.abc import Sequence

from ml.monitoring.limits import features_have_drifted, performance_has_decayed, scores_have_drifted
from ml.monitoring.performance import Performance
from ml.walk_forward.plan import RetrainingPolicy
from ml.walk_forward.results import WalkedMonth


def wish(policy: RetrainingPolicy, alarm: str | None) -> tuple[bool, str]:
    """Whether a policy trains while a champion is in service, and why; ``alarm``: monitoring's finding about it."""
    if policy == "never":
        return False, "the first champion stays"
    if policy == "monthly":
        return True, "trained every month"
    return alarm is not None, alarm or "no drift and no decay"


def find_alarm(before: WalkedMonth, performance: Sequence[Performance]) -> str | None:
    """The alarm of production's sensors: drift of the month before, or decay of the newest judged month.

    ``performance``: of the champion's decisions by month, on the labels known by the day.
    """
    if before.score_psi is not None and before.is_score_drifted is not None:
        reason = scores_have_drifted(before.month, psi=before.score_psi, is_drifted=before.is_score_drifted)
        if reason:
            return reason
    if before.n_features_drifted is not None and before.n_features:
        reason = features_have_drifted(before.month, n_drifted=before.n_features_drifted, n_features=before.n_features)
        if reason:
            return reason
    newest = max((row for row in performance if row.is_judged), key=lambda row: row.month, default=None)
    if newest is None or newest.auc_limit is None or newest.default_rate_limit is None:
        return None
    return performance_has_decayed(
        newest.month,
        auc=newest.auc,
        auc_limit=newest.auc_limit,
        default_rate=newest.default_rate,
        default_rate_limit=newest.default_rate_limit,
    )
