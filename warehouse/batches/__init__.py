"""Batches: what the API takes in, Dagster scores, and the API hands out again.

``stored`` opens one SQLite file of requests and how far each has come, written with ``synchronous=full``: what was
accepted survives ``kill -9``. ``states`` has the ways from one state to the next, each one transaction. ``files`` are a
batch's own rows and results, in a directory of its id. The API (``serving``) accepts, cancels and hands out; a run
(``ml.batches.runs``, in Dagster) claims, scores and finishes.
"""

from warehouse.batches.batch import Batch, BatchRequest, State
from warehouse.batches.files import BatchFiles, SentRow
from warehouse.batches.states import BatchStates

__all__ = [
    "Batch",
    "BatchFiles",
    "BatchRequest",
    "BatchStates",
    "SentRow",
    "State",
    "files",
    "sent_again",
    "tables",
]
