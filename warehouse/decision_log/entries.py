"""What the decision log holds: decisions and reported outcomes, column for column the lake's tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa

#: How the history and cohorts were used: ``fresh``, used though ``stale``, ``left_out`` for their age, ``unknown``
#: borrower, online store ``unavailable``, or ``not_needed`` by the model.
HistoryWord = Literal["fresh", "stale", "left_out", "unknown", "unavailable", "not_needed"]
#: Summary of a score's inputs; :data:`HistoryWord` gives the reason.
StatusWord = Literal["scored", "scored_with_stale_history", "scored_without_history"]
#: Route of a decision: one score request, a list in one request, a batch of sent rows or of a table, or ``backfill``:
#: past applications scored from the warehouse's features, without a caller.
RouteWord = Literal["online", "inline_batch", "file_batch", "table_batch", "backfill"]
#: Role of the version that scored: the champion, the challenger for its share of applicants, the champion as
#: ``fallback`` for a failed challenger, or a challenger in ``shadow``, whose scores no caller sees.
RoleWord = Literal["champion", "challenger", "fallback", "shadow"]


#: A decision's position in a list: its time and its id.
Place = tuple[datetime, str]


class FoundDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a decision, as in the lake; times are naive UTC."""

    decision_id: str
    decided_at: datetime
    source: str
    application_id: str
    borrower_id: str | None
    probability: float
    band: str
    decision: str
    model_name: str
    model_version: int
    feature_version: str
    route: RouteWord
    status: StatusWord
    role: RoleWord = "champion"
    history: HistoryWord | None = None
    caller_id: str | None = None
    caller_name: str | None = None

    @property
    def place(self) -> Place:
        """Its position in a list."""
        return self.decided_at, self.decision_id


class Decision(FoundDecision, frozen=True, kw_only=True):
    """One decision, column for column ``serving.predictions``.

    ``inputs``, ``features`` and ``reasons`` are JSON text (``ml.bundle.logged_values``); the lake keeps features in
    typed tables. ``probability_low``, ``probability_high``: the probability's interval. ``points``: of a scorecard.
    ``history``: None if features came from the lake. ``caller_id`` stays the same when a key is rotated;
    ``caller_name``: the key's name or the token's subject. Both are None for ``backfill``.
    """

    inputs: str
    features: str
    raw_score: float
    probability_low: float
    probability_high: float
    reasons: str
    latency_ms: float | None = None
    features_as_of: datetime | None = None
    lake_snapshot: int | None = None
    points: int | None = None


class ShadowDecision(Decision, frozen=True, kw_only=True):
    """A shadow challenger's decision (``serving.shadow_predictions``); the caller got ``answered_decision_id``."""

    answered_decision_id: str


class ReportedOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome reported over HTTP (``serving.reported_outcomes`` without ``ingested_at``) and its first caller."""

    outcome_id: str
    source: str
    application_id: str
    is_default: bool
    outcome_at: datetime
    known_at: datetime
    loss_amount: float | None = None
    caller_id: str | None = None
    caller_name: str | None = None


class ScoringFailure(msgspec.Struct, frozen=True, kw_only=True):
    """An application that a version could not score, column for column ``serving.scoring_failures``.

    The application is left out: the entry describes the version, not the person. ``reason``: ``not_scorable`` if a
    formula has no result for the values, else the name of the error's type.
    """

    failure_id: str
    failed_at: datetime
    source: str
    model_name: str
    model_version: int
    feature_version: str
    role: RoleWord
    reason: str


#: Rows of a batch keep their ids when it is scored again.
BATCH_ROUTES: tuple[RouteWord, ...] = ("file_batch", "table_batch")


@dataclass(frozen=True)
class Entries:
    """One kind of entry: its table in the outbox, its table in the lake and the struct of its payload."""

    table: str
    lake_table: str
    struct: type[msgspec.Struct]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the lake table, without ``ingested_at``."""
        return tuple(name for name in self.struct.__struct_fields__ if name != "features")

    def arrow_schema(self) -> "pa.Schema":
        """The struct's fields with the lake's types."""
        import pyarrow as pa

        from warehouse.lake.tables import arrow_schema

        schema = arrow_schema(self.lake_table).append(pa.field("features", pa.string()))
        return pa.schema([schema.field(name) for name in self.struct.__struct_fields__])

    def to_arrow(self, entries: Sequence[msgspec.Struct]) -> "pa.Table":
        """Convert entries of this kind to that schema."""
        import pyarrow as pa

        schema = self.arrow_schema()
        return pa.table([[getattr(entry, name) for entry in entries] for name in schema.names], schema=schema)

    @property
    def key(self) -> str:
        """The column that identifies an entry."""
        return self.columns[0]


DECISIONS = Entries("decisions", "serving.predictions", Decision)
SHADOWS = Entries("shadows", "serving.shadow_predictions", ShadowDecision)
OUTCOMES = Entries("outcomes", "serving.reported_outcomes", ReportedOutcome)
FAILURES = Entries("failures", "serving.scoring_failures", ScoringFailure)
KINDS = (DECISIONS, SHADOWS, OUTCOMES, FAILURES)
