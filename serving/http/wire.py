"""Types of the API's answers: frozen, without logic."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from ml.bundle.logged_values import ReasonCode
from ml.decisions.problems import ProblemDocument
from ml.registry.version_states import StateWord
from ml.training.policy import Decision
from warehouse.decision_log import HistoryWord, RoleWord, RouteWord, StatusWord

ReadinessWord = Literal["ready", "degraded", "unavailable"]


class ModelVersion(msgspec.Struct, frozen=True):
    """Model version and feature version of a decision."""

    name: str
    version: int
    feature_version: str


class ScoredApplication(msgspec.Struct, frozen=True):
    """A decision. It is stored in the decision log before it is answered.

    ``decision``: ``refer`` leaves it to a person. ``probability_low``, ``probability_high``: the interval of the
    probability, which holds it; given on request (``interval=true``) and with each referral. It says how well the
    score's probability is known, not how one loan will end. ``points``: of a scorecard, more for a safer loan; null of
    another family of models.
    """

    decision_id: str
    application_id: str
    decided_at: datetime
    probability: float
    band: str
    decision: Decision
    reasons: tuple[ReasonCode, ...]
    model: ModelVersion
    features_as_of: datetime | None
    status: StatusWord
    points: int | None = None
    warnings: tuple[str, ...] = ()
    probability_low: float | msgspec.UnsetType = msgspec.UNSET
    probability_high: float | msgspec.UnsetType = msgspec.UNSET


class ScoreListRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One application of a list: its score, or its problem."""

    index: int
    score: ScoredApplication | msgspec.UnsetType = msgspec.UNSET
    problem: ProblemDocument | msgspec.UnsetType = msgspec.UNSET


class ScoreList(msgspec.Struct, frozen=True):
    """Rows in the order in which they were sent."""

    n_scored: int
    n_refused: int
    results: tuple[ScoreListRow, ...]


class BorrowerRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One borrower of a list: values, or why there are none.

    ``history``: ``fresh``, or ``stale`` and used all the same; without values ``unknown`` (no such borrower),
    ``left_out`` (too old for this server) or ``not_needed`` (the model reads no history). ``as_of``: everything known
    before that time counts. ``lake_snapshot``: the snapshot of the lake that has the same values. ``features``: those
    that need no application. ``inputs``: the history columns that they and other features are made of, as stored.
    """

    index: int
    borrower_id: str | msgspec.UnsetType = msgspec.UNSET
    history: HistoryWord | msgspec.UnsetType = msgspec.UNSET
    as_of: datetime | msgspec.UnsetType = msgspec.UNSET
    lake_snapshot: int | msgspec.UnsetType = msgspec.UNSET
    feature_version: str | msgspec.UnsetType = msgspec.UNSET
    features: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    problem: ProblemDocument | msgspec.UnsetType = msgspec.UNSET


class FeatureList(msgspec.Struct, frozen=True):
    """Borrowers in the order in which they were sent; no decision is made.

    ``model``: the champion, whose features these are. ``decided_at``: the time that ages count to.
    """

    lender: str
    model: ModelVersion
    decided_at: datetime
    n_known: int
    n_without_history: int
    n_refused: int
    results: tuple[BorrowerRow, ...]


class DecisionSummary(msgspec.Struct, frozen=True):
    """The short form of a decision.

    ``route``: how it came about. ``role``: which of the served versions scored. ``caller``: the name of the key, or the
    subject of the token, that asked; null for a backfill.
    """

    decision_id: str
    application_id: str
    borrower_id: str | None
    lender: str
    route: RouteWord
    caller: str | None
    decided_at: datetime
    probability: float
    band: str
    decision: str
    model: ModelVersion
    role: RoleWord
    history: HistoryWord | None
    status: StatusWord


class LoggedDecision(DecisionSummary, frozen=True):
    """A decision as it was logged, with everything that made it."""

    raw_score: float
    probability_low: float
    probability_high: float
    points: int | None
    reasons: tuple[ReasonCode, ...]
    features_as_of: datetime | None
    latency_ms: float | None
    inputs: msgspec.Raw
    features: msgspec.Raw


class DecisionList(msgspec.Struct, frozen=True):
    """Decisions, newest first; send ``next_cursor`` as ``cursor`` for the next ones. It is null after the last."""

    decisions: tuple[DecisionSummary, ...]
    next_cursor: str | None


class OutcomeReceipt(msgspec.Struct, frozen=True):
    """The outcome is stored. The same report has the same id."""

    outcome_id: str
    application_id: str


class InputDescription(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field of a score request; ``needed_by`` names its versions if not all served versions use it."""

    name: str
    required: bool
    rule: str
    description: str
    example: Any = msgspec.UNSET
    needed_by: tuple[str, ...] = ()


class ModelGuarantees(msgspec.Struct, frozen=True):
    """What the family guarantees of this model.

    ``score_bound``: the most by which a row's score, in log-odds, may differ between the model and the form that
    answers; 0 means none. ``reasons_are_exact``: whether reasons are the model's own, not estimates.
    ``keeps_directions``: whether risk moves only in the directions that the feature contract states.
    """

    score_bound: float
    reasons_are_exact: bool
    keeps_directions: bool


class ChallengerDescription(msgspec.Struct, frozen=True):
    """The challenger: in ``shadow`` it answers no caller, in ``ab`` and ``canary`` a share of the applicants.

    ``cut_off``, ``refer_width``: as of :class:`ModelDescription`.
    """

    name: str
    version: int
    family: str
    guarantees: ModelGuarantees
    feature_version: str
    mode: Literal["shadow", "ab", "canary"]
    share: float | None
    challenging_since: str
    challenged_by: str
    cut_off: float
    refer_width: float | None
    metrics: dict[str, dict[str, Any]]


class ModelDescription(msgspec.Struct, frozen=True):
    """The champion, and its challenger if there is one; ``inputs``: the fields of both.

    ``family``: the kind of model, such as ``xgboost`` or ``scorecard``. ``cut_off``: declined from this probability on.
    ``refer_width``: referred to a person where the interval has the cut-off inside and is wider than this; null if none
    is. ``metrics``: figures of the model and of each baseline on the test rows.
    """

    name: str
    version: int
    lender: str
    family: str
    guarantees: ModelGuarantees
    feature_version: str
    published_at: str
    published_by: str
    cut_off: float
    refer_width: float | None
    metrics: dict[str, dict[str, Any]]
    inputs: tuple[InputDescription, ...]
    challenger: ChallengerDescription | None


class Gate(msgspec.Struct, frozen=True):
    """The verdict of a gate; ``message`` says why it refused."""

    gate: str
    passed: bool
    message: str = ""
    can_be_overridden: bool = False


class KeptApproval(msgspec.Struct, frozen=True):
    """A person's approval of a version; ``overridden``: gates whose refusal is overridden.

    ``serve``: serve immediately, or approve without serving.
    """

    reason: str
    overridden: tuple[str, ...]
    by: str
    at: str
    serve: bool


class VersionOnItsWay(msgspec.Struct, frozen=True):
    """A registered version and its state.

    ``state``: ``served`` as champion, ``on_trial`` as challenger, ``approved`` and about to be served, ``refused`` by a
    gate, ``waiting`` though its gates passed, ``replaced`` by another version, or ``archived``.
    """

    model: str
    version: int
    lender: str
    feature_version: str
    registered_at: datetime
    state: StateWord
    gates: tuple[Gate, ...]
    approval: KeptApproval | None


class ModelVersions(msgspec.Struct, frozen=True):
    """Registered versions, newest first."""

    versions: tuple[VersionOnItsWay, ...]


class ApprovalReceipt(msgspec.Struct, frozen=True):
    """The approval is stored; ``next`` says what happens next, and is empty if the version is already served."""

    model: str
    version: int
    state: StateWord
    approval: KeptApproval
    next: str


class LenderReadiness(msgspec.Struct, frozen=True):
    """The state of one lender's models, in the words of :class:`Readiness`."""

    status: ReadinessWord
    reasons: tuple[str, ...]
    model: ModelVersion | None
    challenger: ModelVersion | None


class Readiness(msgspec.Struct, frozen=True):
    """``ready``; ``degraded``: scoring with limitations; ``unavailable`` (503): no lender can be scored for."""

    status: ReadinessWord
    reasons: tuple[str, ...]
    lenders: dict[str, LenderReadiness]


class Liveness(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["alive"] = "alive"
