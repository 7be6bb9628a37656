"""The model that this process serves: watched, loaded, and its request schema and approvals."""

__all__ = [
    "approvals",
    "deployment_schema",
    "deployment_watch",
    "score_request",
    "served_model",
]
