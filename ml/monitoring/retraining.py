"""When a champion should be trained again: rules over what monitoring measured, each a sentence that says why.

Sensors ask them of the newest month in the lake, a walk through history of the month that had just ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

#: One feature that moves is normal life; when so many have, the applicants are others than those trained on.
DRIFTED_FEATURE_SHARE = 0.5
#: A month counts once so many of its decisions, and so many defaults among them, are mature: below 50 defaults the
#: 95 % interval of an AUC is wider than ±.08.
MIN_MATURE, MIN_DEFAULTS = 300, 50
#: A month's AUC this far below the lower end of the test interval is worse than chance makes it.
AUC_DECAY = 0.02
#: Default rate over mean probability beyond which the level of risk is another one.
MAX_RATE_RATIO = 1.5


@dataclass(frozen=True)
class PromotedAuc:
    """The AUC a model was promoted with, and the lower end of its 95 % interval."""

    value: float
    low: float


def tested_auc(metrics: Mapping[str, Any]) -> PromotedAuc:
    """Of a bundle's ``metrics.json``: on all test rows, the candidate's."""
    found = next(
        row for row in metrics["measured"] if (row["split"], row["month"], row["model"]) == ("test", None, "candidate")
    )
    return PromotedAuc(found["auc"], found["auc_low"])


def scores_have_drifted(month: date, *, psi: float, is_drifted: bool) -> str | None:
    """Why a month's scores ask for a training, None where they do not."""
    return f"scores drifted in {month:%Y-%m}, PSI {psi:.3f}" if is_drifted else None


def features_have_drifted(month: date, *, n_drifted: int, n_features: int) -> str | None:
    """Why a month's features ask for a training, None where they do not."""
    if n_drifted < DRIFTED_FEATURE_SHARE * n_features:
        return None
    return f"{n_drifted} of {n_features} features drifted in {month:%Y-%m}"


def performance_has_decayed(
    month: date, *, auc: float, default_rate: float, mean_probability: float, tested: PromotedAuc
) -> str | None:
    """Why a month's mature decisions ask for a training: worse ranked than when tested, or riskier than expected."""
    if auc < tested.low - AUC_DECAY:
        return f"AUC {auc:.4f} in {month:%Y-%m} against {tested.value:.4f} when tested"
    if default_rate > MAX_RATE_RATIO * mean_probability:
        return f"default rate {default_rate:.1%} in {month:%Y-%m} against a mean probability of {mean_probability:.1%}"
    return None
