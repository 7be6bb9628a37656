"""One batch: the request, how a repeated one is recognised, and its progress."""

import hashlib
import uuid
from datetime import datetime
from typing import Literal

import msgspec

_NAMESPACE = uuid.UUID("0a3f5f5e-5a8e-5b5c-8f0b-6a4c7d0c2f11")
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class BatchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request. ``source``: the lender whose champion scores. ``table``: the lake table to score, or to copy the
    rows from; None if the caller sent the rows.

    ``lake_snapshot``: the snapshot in which the table was read. ``with_reasons``: whether a table's rows of features
    that are not approved get reasons. ``request_fields``: the fields that the rows were checked against
    (``ml.batches.rows``), from version ``checked_by``; None for a table of features. ``history_*``: the accepting
    server's look-up policy.
    ``caller_name``: of the key or token, for people to read; ``Batch.caller_id`` identifies the caller.
    """

    source: str
    table: str | None = None
    n_rows: int | None = None
    lake_snapshot: int | None = None
    with_reasons: bool = False
    request_fields: str | None = None
    checked_by: str = "another version"
    history_max_age_hours: float | None = None
    history_stale: str = "score"
    history_unavailable: str = "refuse"
    caller_name: str | None = None

    @property
    def has_rows(self) -> bool:
        """Whether its rows, each a decision to make, are stored beside it."""
        return self.request_fields is not None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """The current state of a batch; times are naive UTC. ``n_rows``: None until a table's rows are counted.

    ``reason``: why it failed or was postponed. ``run_id``: its last run. ``not_before``: the earliest time of its next.
    """

    batch_id: str
    caller_id: str
    request: BatchRequest
    body_sha256: str
    state: State
    attempt: int
    is_cancelling: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    n_rows: int | None
    n_done: int
    n_scored: int
    n_refused: int
    reason: str | None
    run_id: str | None
    model_name: str | None
    model_version: int | None
    feature_version: str | None
    lake_snapshot: int | None
    n_postponed: int
    not_before: datetime | None

    def is_due(self, now: datetime) -> bool:
        """Whether it may have a run at ``now`` (naive UTC)."""
        return self.not_before is None or self.not_before <= now


def batch_key_id(caller_id: str, idempotency_key: str) -> str:
    """The stored form of this caller's key. Not the batch's id: once a batch is deleted, its key may be reused."""
    return str(uuid.uuid5(_NAMESPACE, f"{caller_id}\n{idempotency_key}"))


def body_digest(body: bytes, media_type: str) -> str:
    """Equal for two bodies with the same request."""
    return hashlib.sha256(media_type.encode() + b"\n" + body).hexdigest()
