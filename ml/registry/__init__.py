"""Registered versions: the home's record, approvals, the deployment, and their display in MLflow."""

__all__ = [
    "approval",
    "bundle_erasure",
    "carried_overrides",
    "deployment",
    "deployment_changes",
    "information_values",
    "live_models",
    "registered_version",
    "registry",
    "tracking",
    "training_set_export",
    "version_states",
]
