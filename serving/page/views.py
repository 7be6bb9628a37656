"""Data for the templates: frozen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.registry.deployment import Challenger, Change
from serving.deployed.served_model import ServedDeployment
from serving.http.wire import Readiness


@dataclass(frozen=True)
class Link:
    """Where to go from here."""

    text: str
    url: str
    about: str


@dataclass(frozen=True)
class Frame:
    """The frame around every page; ``may_read``: whether the caller may see decisions."""

    version: str
    who: str
    may_read: bool
    links: Sequence[Link]
    asked: str = ""


@dataclass(frozen=True)
class Listed:
    """Rows, or the reason why there are none."""

    rows: Sequence[Any] = ()
    problem: str = ""


@dataclass(frozen=True)
class Overview:
    """The page at ``/``; the times are those of this worker.

    ``canary``: the challenger with its plan. ``waiting`` and ``recent`` are None for a caller who may not see them.
    """

    state: Readiness
    at: datetime
    started_at: datetime
    uptime: str
    workers: int
    served: ServedDeployment | None
    canary: Challenger | None
    changes: Sequence[Change]
    waiting: Listed | None
    recent: Listed | None
