"""Types of the API's answers about batches."""

from datetime import datetime

import msgspec

from ml.bundle.logged_values import ReasonCode
from ml.decisions.problems import ProblemDocument
from ml.training.policy import Decision
from serving.http.wire import ModelVersion
from warehouse.batches import State


class BatchStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a batch.

    ``share_done``: of its rows, from 0 to 1. ``n_rows``: null until a table's rows were counted. ``reason``: why it
    failed. ``model``: the version that scores it, chosen when its run began. ``lake_snapshot``: the state of the lake
    that a table was read from. ``run_id``: its run in Dagster. ``results``: where they are, once it has succeeded.
    """

    batch_id: str
    state: State
    share_done: float
    n_rows: int | None
    n_done: int
    n_scored: int
    n_refused: int
    attempt: int
    is_cancelling: bool
    table: str | None
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    model: ModelVersion | None
    lake_snapshot: int | None
    run_id: str | None
    results: str | None


class BatchList(msgspec.Struct, frozen=True):
    """Batches, newest first; send ``next_cursor`` as ``cursor`` for the next ones. It is null after the last."""

    batches: tuple[BatchStatus, ...]
    next_cursor: str | None


class BatchScore(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a batch: its score, or its ``problem``.

    ``row_number``: its place in the sent rows, or in the table as it was read, from 1. ``borrower_id``: null for a row
    of features, and if none could be read. ``decision_id``: of a sent row, or of a row of a table of applications;
    null for a row of features. ``reasons``: null if none were requested. ``probability_low``, ``probability_high``: the
    interval of the probability, which holds it. ``points``: of a scorecard, more for a safer loan; null of another
    family.
    """

    row_number: int
    application_id: str | None
    borrower_id: str | None
    probability: float | None
    probability_low: float | None
    probability_high: float | None
    raw_score: float | None
    points: int | None
    band: str | None
    decision: Decision | None
    reasons: tuple[ReasonCode, ...] | None
    decision_id: str | None
    model_name: str
    model_version: int
    feature_version: str
    lake_snapshot: int | None
    scored_at: datetime
    problem: ProblemDocument | None


class BatchResults(msgspec.Struct, frozen=True):
    """All rows of a batch, in their order."""

    batch_id: str
    results: tuple[BatchScore, ...]


def batch_location(batch_id: str) -> str:
    """The path of the batch."""
    return f"/v1/batches/{batch_id}"
