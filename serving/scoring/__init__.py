"""From a request to a logged decision: score, decide, run the challenger in shadow, write the outbox."""

__all__ = [
    "decide",
    "decision_ids",
    "outbox",
    "plain_scores",
    "scoring",
    "shadow",
]
