"""A lender's deployment: ``deployment.json``, the history beside it, and one process at a time that replaces them.

``deployment.json`` is the one truth, replaced atomically; it holds the earlier deployments as a chain, so a rollback
needs no other file. ``history.jsonl`` is for people: who changed what when. The API never asks MLflow, whose aliases
follow the deployment. :mod:`ml.rollout.promotion` and :mod:`ml.rollout.challenge` change it.
"""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from warehouse.errors import BundleError, NotFoundError, SettingError
from warehouse.files.json_lines import append_line, read_lines
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings
from warehouse.team import fresh, shared_turn

Mode = Literal["shadow", "ab", "canary"]
Action = Literal["publish", "rollback", "challenge", "advance", "end_challenge"]

#: Fewer decisions of a version prove nothing.
MIN_DECISIONS = 100


@dataclass(frozen=True)
class Deployment:
    """One model version being served; ``bundle`` is relative to the home, ``published_at`` ISO 8601 in UTC.

    ``challenger``: another version of the same model tried beside it.
    """

    source: str
    model_name: str
    model_version: int
    feature_version: str
    bundle: str
    published_at: str
    published_by: str
    challenger: "Challenger | None" = None
    previous: "Deployment | None" = None

    def bundle_directory(self, settings: Settings) -> Path:
        """The bundle's directory under this home."""
        return settings.home / self.bundle

    def is_version(self, model_name: str, model_version: int) -> bool:
        """Whether this is the given version of the given model."""
        return (self.model_name, self.model_version) == (model_name, model_version)


@dataclass(frozen=True)
class CanaryPlan:
    """The plan of a canary: the shares of the applicants it answers, one after the other, and then all, as champion.

    ``steps``: rising shares, in (0, 1). ``dwell_minutes``: least time on each. ``min_decisions``: decisions of each
    version on a step before anything is concluded.
    """

    steps: tuple[float, ...] = (0.1, 0.25, 0.5)
    dwell_minutes: float = 60.0
    min_decisions: int = 300

    def __post_init__(self) -> None:
        are_shares = all(isinstance(step, float | int) and 0 < step < 1 for step in self.steps)
        if not self.steps or not are_shares or list(self.steps) != sorted(set(self.steps)):
            raise SettingError(f"the steps of a canary must be rising shares within (0, 1): found {self.steps!r}")
        if self.dwell_minutes < 0 or self.min_decisions < MIN_DECISIONS:
            raise SettingError(
                f"a step of a canary lasts at least 0 minutes and {MIN_DECISIONS} decisions of each version: found "
                f"{self.dwell_minutes!r} and {self.min_decisions!r}"
            )

    def after(self, share: float) -> float | None:
        """The next share; None after the last."""
        return next((step for step in self.steps if step > share), None)


@dataclass(frozen=True)
class Challenger:
    """A version on trial; ``published_at`` and ``published_by``: when and by whom the trial was begun.

    ``shadow``: it scores every application, but answers none. ``ab``: it answers a ``share`` of the applicants, in (0,
    1), always the same ones. ``canary``: the same, with a share that follows its ``plan``; ``step_began_at``: start of
    the present step.
    """

    mode: Mode
    share: float | None
    deployment: Deployment
    plan: CanaryPlan | None = None
    step_began_at: str | None = None

    def __post_init__(self) -> None:
        is_share = isinstance(self.share, float | int) and 0 < self.share < 1
        if self.mode not in ("shadow", "ab", "canary") or is_share is not (self.mode != "shadow"):
            raise SettingError(
                "a challenger runs in shadow, or answers a share of the applicants within (0, 1): "
                f"found mode {self.mode!r} and share {self.share!r}"
            )
        if (self.plan is not None and self.step_began_at is not None) is not (self.mode == "canary"):
            raise SettingError(f"a canary, and nothing else, has a plan and a step: found mode {self.mode!r}")

    @property
    def name(self) -> str:
        """Its name and mode, for people and messages."""
        how = "in shadow" if self.share is None else f"answering {self.share * 100:.4g} % of the applicants"
        canary = ", as a canary" if self.mode == "canary" else ""
        return f"{self.deployment.model_name} version {self.deployment.model_version}, {how}{canary}"


@dataclass(frozen=True)
class Change:
    """One line of the deployment history: the new deployment, without the chain below.

    ``why``: the evidence for a canary's move, or the reason of an approval, else empty; ``figures``: the comparison of
    a canary's versions.
    """

    action: Action
    at: str
    by: str
    deployment: Deployment
    why: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


def read_deployment(settings: Settings, lender: str) -> Deployment | None:
    """The lender's current deployment, or None if nothing is served. Raises BundleError on an unreadable file."""
    fresh(settings)
    path = settings.deployment(lender)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Deployment)
    except FileNotFoundError:
        return None
    except (ValueError, msgspec.MsgspecError, SettingError) as error:
        raise BundleError(
            f"{path} must hold one deployment: {error!r}; restore it from a backup, or remove it and promote a version "
            "again"
        ) from error
    if found.source != lender:
        raise BundleError(f"{path} must hold a deployment of {lender}: found one of {found.source}; restore it")
    return found


def read_deployments(settings: Settings) -> list[Deployment]:
    """The current deployment of every lender, by name; raises as :func:`read_deployment`."""
    fresh(settings)
    found = (read_deployment(settings, lender) for lender in settings.deployed_lenders())
    return [deployment for deployment in found if deployment is not None]


def read_history(settings: Settings, lender: str) -> list[Change]:
    """Every change of the lender's deployment, oldest first. Raises SettingError naming an invalid line."""
    fresh(settings)
    return read_lines(settings.deployment_history(lender), _change, what="change of what is served")


def _change(entry: Mapping[str, Any]) -> Change:
    """The inverse of what :func:`serve` writes: the deployment's fields stand beside those of the change."""
    return msgspec.convert({**entry, "deployment": entry}, Change)


def bundle_directory(settings: Settings, model_name: str, model_version: int) -> Path:
    """Place of a model version's published bundle, whether or not it exists."""
    return settings.bundles / model_name / str(model_version)


def now() -> str:
    """The time in the format of deployments and their history."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def require_challenger(deployment: Deployment | None, challenger: Challenger) -> None:
    """Raise NotFoundError unless this challenger still runs; call it in a deployment turn."""
    running = deployment.challenger if deployment is not None else None
    if running != challenger:
        raise NotFoundError(
            f"{challenger.name}, changed while it was judged: {running.name if running else 'no challenger'} runs now, "
            "ask again"
        )


def deployment_turn(settings: Settings, lender: str) -> AbstractContextManager[None]:
    """Hold this around reading and replacing the lender's deployment: one process of all machines at a time."""
    lock = settings.deployment(lender).with_name("deployment.lock")
    written = settings.deployment(lender), settings.deployment_history(lender), settings.approvals(lender)
    return shared_turn(settings, lock, *written)


def serve(
    settings: Settings,
    deployment: Deployment,
    *,
    action: Action,
    by: str,
    why: str = "",
    figures: Mapping[str, Any] | None = None,
) -> None:
    """Serve this from now on; add ``action``, reason and figures to the history."""
    replace_deployment(settings, deployment)
    entry = {"action": action, "at": now(), "by": by, **asdict(deployment)}
    entry |= {"why": why, "figures": dict(figures or {})} if why else {}
    del entry["previous"]
    append_line(settings.deployment_history(deployment.source), entry)


def replace_deployment(settings: Settings, deployment: Deployment) -> None:
    """Write ``deployment.json`` alone, for a change below the current deployment."""
    replace_file(settings.deployment(deployment.source), json.dumps(asdict(deployment), indent=2) + "\n")
