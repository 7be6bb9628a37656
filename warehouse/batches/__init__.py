"""Batches: the API accepts them, Dagster scores them, and the API returns the results.

``states`` holds the SQLite file of requests and their progress, and the state transitions, one transaction each with
``synchronous=full``: an accepted batch survives ``kill -9``. ``files`` are a batch's rows and results, in a directory
named by its id. A run in Dagster (``ml.batches.runs``) claims, scores and finishes a batch.
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
    "batch",
    "files",
    "tables",
]
