"""The model that this process serves: watched, loaded, and its request schema and approvals."""

#: The modules that other rooms may import.
__all__ = [
    "approvals",
    "deployment_schema",
    "deployment_watch",
    "score_request",
    "served_model",
]
