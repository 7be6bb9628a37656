"""Decisions already made: looked up by id, application or borrower, and the outcomes reported for them."""

__all__ = [
    "outcome_report",
    "reader",
]
