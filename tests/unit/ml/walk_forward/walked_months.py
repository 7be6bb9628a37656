"""Rows of ``monitoring.walk_forward``, by hand."""

from datetime import date
from typing import Any

from ml.walk_forward.results import WalkedMonth


def walked_month(number: int, policy: str = "monthly", **figures: Any) -> WalkedMonth:
    """The month of that number in 2011, decided by a champion, as quiet as can be unless told otherwise."""
    defaults: dict[str, Any] = {
        "run": "main",
        "source": "bank",
        "policy": policy,
        "month": date(2011, number, 1),
        "champion": "c",
        "champion_month": date(2011, 1, 1),
        "champion_before": "c",
        "is_retrained": False,
        "is_promoted": False,
        "why": "",
        "n_decisions": 1_000,
        "n_declined": 100,
        "n_referred": 10,
        "feature_version": "v1",
        "label_window_months": 12,
        "lake_snapshot": 7,
        "score_psi": 0.05,
        "is_score_drifted": False,
        "worst_feature": "loan_to_income",
        "worst_feature_psi": 0.1,
        "n_features_drifted": 0,
        "n_features": 10,
    }
    return WalkedMonth(**{**defaults, **figures})
