"""One batch: the request, and its progress."""

from datetime import datetime
from typing import Literal

import msgspec

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class BatchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request. ``table``: the lake table to score, or to copy the rows from; None if they were sent.

    ``lake_snapshot``: where the rows were taken from a table, the state that it was read in. ``with_reasons``: whether
    declined rows of a table of features get theirs. ``request_fields``: which fields the rows were checked against
    (``ml.batches.rows``), those of the version ``checked_by``; None for a table of features, which the run reads.
    ``history_*``: the policy of the server that took the rows, for look-ups. ``caller_name``: of the key or token that
    asked, for people; ``Batch.caller_id`` is what it is known by.
    """

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
        """Whether its rows lie beside it, each a decision to make."""
        return self.request_fields is not None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it stands; times are naive UTC. ``n_rows``: None until a table's rows were counted.

    ``reason``: why it failed, or was postponed. ``run_id``: the run that has, or had, it. ``not_before``: when it may
    have its next run, after it was postponed ``n_postponed`` times.
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
