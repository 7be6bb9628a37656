"""Registered versions: the home's record of them, who approved them, what is deployed, and their display in MLflow."""

#: The modules that other rooms may import.
__all__ = [
    "approval",
    "bundle_erasure",
    "deployment",
    "deployment_changes",
    "live_models",
    "registered_version",
    "registry",
    "tracking",
    "training_set_export",
    "version_states",
]
