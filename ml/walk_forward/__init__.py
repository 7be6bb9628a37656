"""Walk a lender's history month by month: what training, gates and monitoring would have done with that day's data.

A month is walked on its first day. The labels known by then are used for training and judging; a policy decides whether
to train; the gates decide whether the candidate replaces the champion; the champion scores the month's applications.
The home's deployment, predictions and monitoring are unchanged.
"""

__all__ = [
    "picture",
    "plan",
    "results",
    "summary",
    "walk",
]
