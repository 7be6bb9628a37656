"""Walk a lender's history month by month: what training, gates and monitoring would have done with that day's data.

A month is walked on its first day. The labels known by then are used for training and judging; a policy decides whether
to train; the gates decide whether the candidate replaces the champion; the champion scores the month's applications.
The home's deployment, predictions and monitoring are unchanged.

::

    plan.py        what to walk: source, months, policies, label window
    rows.py        applications, features and labels of one lake snapshot, as of a day
    candidates.py  a model for a day: trained once for equal rows, judged beside the champion of that day
    policies.py    when to train
    measures.py    decisions of a month, their drift from the champion's training rows, and their outcomes
    results.py     monitoring.walk_forward and monitoring.walk_forward_decisions
    walk.py        the months, one after another
    picture.py     the policies side by side, as PNG
"""

__all__ = [
    "picture",
    "plan",
    "results",
    "summary",
    "walk",
]
