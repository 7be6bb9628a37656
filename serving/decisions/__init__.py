"""Decisions already made: looked up by id, application or borrower, and the outcomes reported for them."""

#: The modules that other rooms may import.
__all__ = [
    "outcome_report",
    "reader",
]
