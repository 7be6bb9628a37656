"""What the templates are given: frozen, and worded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.registry.deployment import Change
from serving.http.wire import ReadinessWord, VersionOnItsWay


@dataclass(frozen=True)
class Frame:
    """What stands around every page; ``may_read``: whether the caller may see decisions."""

    version: str
    who: str
    may_read: bool
    links: Sequence["Link"]
    asked: str = ""


@dataclass(frozen=True)
class Link:
    """Where to go from here."""

    text: str
    url: str
    about: str


@dataclass(frozen=True)
class State:
    """Whether scores can be had, in a word and a sentence; the times are those of this worker."""

    word: ReadinessWord
    sentence: str
    reasons: Sequence[str]
    at: datetime
    started_at: datetime
    uptime: str
    workers: int


@dataclass(frozen=True)
class Version:
    """A version in service. ``does`` says what of the traffic is its; ``share`` is None where it answers nobody."""

    role: str
    name: str
    feature_version: str
    does: str
    share: float | None
    since: datetime
    by: str
    cut_off: float
    test: Mapping[str, Any]


@dataclass(frozen=True)
class Canary:
    """How far a canary has come; ``steps``: each share with ``done``, ``now`` or ``next``."""

    steps: Sequence[tuple[float, str]]
    step_began_at: datetime
    dwell_minutes: float
    min_decisions: int


@dataclass(frozen=True)
class Serving:
    """What answers."""

    versions: Sequence[Version]
    canary: Canary | None
    source: str


@dataclass(frozen=True)
class RecentDecision:
    """One line of the list."""

    decision_id: str
    application_id: str
    decided_at: datetime
    decision: str
    probability: float
    band: str
    model: str
    status: str


@dataclass(frozen=True)
class Listed:
    """Some rows, or why there are none to show."""

    rows: Sequence[Any] = ()
    problem: str = ""


@dataclass(frozen=True)
class Overview:
    """The page at ``/``; ``waiting`` and ``recent`` are None for a caller who may not see them."""

    state: State
    serving: Serving | None
    changes: Sequence[Change]
    waiting: "Listed | None"
    recent: "Listed | None"


@dataclass(frozen=True)
class Waiting:
    """A version that is registered and not in service; ``overridable``: gates a person may overrule."""

    version: VersionOnItsWay
    refusals: Sequence[Any]
    n_passed: int
    overridable: Sequence[str]
    sentence: str


@dataclass(frozen=True)
class ReasonBar:
    """A reason; ``width`` in percent of the longest bar, ``odds`` the factor by which it raises the odds of default."""

    text: str
    feature: str
    contribution: float
    odds: float
    width: float


@dataclass(frozen=True)
class DecisionView:
    """One decision. ``cut_off`` is None where the model that made it is not in service any more."""

    logged: Any
    cut_off: float | None
    reasons: Sequence[ReasonBar]
    inputs: Mapping[str, Any]
    features: Mapping[str, Any]
