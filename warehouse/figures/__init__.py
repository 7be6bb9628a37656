"""The newest figures of models, data and portfolio, in a file that the API shows at ``/metrics`` without the lake."""

__all__ = [
    "published",
    "queries",
]
