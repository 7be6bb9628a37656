"""Data for the templates: frozen, with final texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.registry.deployment import Change
from serving.http.wire import ReadinessWord, VersionOnItsWay


@dataclass(frozen=True)
class Frame:
    """The frame around every page; ``may_read``: whether the caller may see decisions."""

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
    """Whether the API can score, as a word and a sentence; the times are those of this worker."""

    word: ReadinessWord
    sentence: str
    reasons: Sequence[str]
    at: datetime
    started_at: datetime
    uptime: str
    workers: int


@dataclass(frozen=True)
class Version:
    """A served version. ``does`` describes its part of the traffic; ``share`` is None for a version in shadow."""

    role: str
    name: str
    feature_version: str
    does: str
    share: float | None
    since: datetime
    by: str
    cut_off: float
    test: Mapping[str, Any]
    split: str


@dataclass(frozen=True)
class Canary:
    """Progress of a canary; ``steps``: each share with ``done``, ``now`` or ``next``."""

    steps: Sequence[tuple[float, str]]
    step_began_at: datetime
    dwell_minutes: float
    min_decisions: int


@dataclass(frozen=True)
class Serving:
    """The served versions."""

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
    """Rows, or the reason why there are none."""

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
    """A registered version that is not served; ``overridable``: gates that a person may override."""

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
    """One decision. ``cut_off`` is None if its model is no longer served."""

    logged: Any
    cut_off: float | None
    reasons: Sequence[ReasonBar]
    inputs: Mapping[str, Any]
    features: Mapping[str, Any]
