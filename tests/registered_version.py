"""A registered version as the home records it, without MLflow: passed, and not promoted."""

from datetime import UTC, datetime
from typing import Any

from ml.registry.registered_version import RegisteredVersion


def registered_version(**changed: Any) -> RegisteredVersion:
    """Version 3 of the bank's model, but for what is ``changed``."""
    fields = {
        "source": "bank",
        "name": "default_risk_bank",
        "version": 3,
        "feature_version": "v1",
        "run_id": "r",
        "fingerprint": "f",
        "digests": ("d",),
        "passed_gates": ("auc_reaches_floor",),
        "refused_by": (),
        "gate_messages": (),
        "lake_snapshot": 1,
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
        "archived": False,
    }
    return RegisteredVersion(**{**fields, **changed})
