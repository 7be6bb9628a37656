"""One decision: made from stored history and a request, replayed from the log, traced to its raw rows."""

__all__ = [
    "borrower_features",
    "decision",
    "freshness",
    "lineage",
    "lineage_text",
    "online_inputs",
    "problems",
    "replay",
]
