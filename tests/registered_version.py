"""A model version as MLflow's registry tells of it, without MLflow: passed, and not promoted."""

from datetime import UTC, datetime
from typing import Any

from ml.registry import RegisteredVersion


def registered_version(**changed: Any) -> RegisteredVersion:
    """Version 3 of the bank's model, but for what is ``changed``."""
    fields = {
        "source": "bank",
        "name": "default_risk_bank",
        "version": 3,
        "run_id": "r",
        "fingerprint": "f",
        "bundle_digest": "d",
        "refused_by": (),
        "gate_messages": (),
        "aliases": (),
        "lake_snapshot": 1,
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
        "archived": False,
    }
    return RegisteredVersion(**{**fields, **changed})
