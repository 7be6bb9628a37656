"""When a champion should be trained again: rules over judged months, each a sentence that says why.

Sensors ask them of the newest judged month in the lake, a walk through history of the month that had just ended.
"""

from datetime import date
from typing import Final

#: One feature that moves is normal life; when half of them have, the applicants are others than those trained on.
DRIFTED_FEATURE_SHARE: Final = 0.5


def scores_have_drifted(month: date, *, psi: float, is_drifted: bool) -> str | None:
    """Why a month's scores ask for a training, None where they do not."""
    return f"scores drifted in {month:%Y-%m}, PSI {psi:.3f}" if is_drifted else None


def features_have_drifted(month: date, *, n_drifted: int, n_features: int) -> str | None:
    """Why a month's features ask for a training, None where they do not."""
    if n_drifted < DRIFTED_FEATURE_SHARE * n_features:
        return None
    return f"{n_drifted} of {n_features} features drifted in {month:%Y-%m}"


def performance_has_decayed(
    month: date, *, auc: float | None, auc_limit: float, default_rate: float, default_rate_limit: float
) -> str | None:
    """Why a month's mature decisions ask for a training: worse ranked than when tested, or riskier than expected."""
    if auc is not None and auc < auc_limit:
        return f"AUC {auc:.4f} in {month:%Y-%m}, below its limit of {auc_limit:.4f}"
    if default_rate > default_rate_limit:
        return f"default rate {default_rate:.1%} in {month:%Y-%m}, above its limit of {default_rate_limit:.1%}"
    return None
