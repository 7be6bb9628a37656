"""Content of the page at ``/``: state, served versions, waiting versions, recent decisions."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ml.judging.metrics import measured_split
from ml.registry.deployment import Challenger, Change, read_deployment, read_history
from serving.access.caller import Caller
from serving.decisions.reader import DecisionReader
from serving.deployed.approvals import ApprovalService
from serving.deployed.deployment_watch import DeploymentWatch
from serving.health.readiness import ReadinessCheck
from serving.http.clock import utc_now
from serving.http.problems import Problem
from serving.http.wire import ReadinessWord, VersionOnItsWay
from serving.page.recent import RecentDecisions
from serving.page.views import Canary, Listed, Overview, Serving, State, Version, Waiting
from serving.telemetry.workers import live_workers
from warehouse.errors import LoanlakeError
from warehouse.settings import Settings

if TYPE_CHECKING:
    from serving.deployed.served_model import ServedDeployment, ServedModel

_N_CHANGES = 5
_N_WAITING = 3
_SENTENCES: dict[ReadinessWord, str] = {
    "ready": "All parts needed for a score are available.",
    "degraded": "Applications are scored, with limitations.",
    "unavailable": "No application can be scored now.",
}
_STANDS = {
    "waiting": "It passed its gates and waits for approval or promotion.",
    "refused": "A gate refused it.",
    "approved": "It is approved and will be served shortly.",
}


class OverviewPage:
    """Collects the content, in a thread, without anything that scores wait for."""

    def __init__(
        self,
        settings: Settings,
        *,
        deployments: DeploymentWatch,
        readiness: ReadinessCheck,
        approvals: ApprovalService,
        decisions: DecisionReader,
    ):
        self._settings = settings
        self._deployments = deployments
        self._readiness = readiness
        self._approvals = approvals
        self._decisions = decisions
        self._recent = RecentDecisions(settings)
        self._started_at = utc_now()

    async def overview(self, caller: Caller) -> Overview:
        """The parts that the caller may see; an unreadable part is shown as such, never raised."""
        state = await self._state()
        challenger, changes = await asyncio.to_thread(self._read_files)
        served = self._deployments.deployment
        return Overview(
            state=state,
            serving=_serving(served, challenger) if served is not None else None,
            changes=changes,
            waiting=await self._waiting() if caller.may("approve") else None,
            recent=await self._recent.newest(self._decisions.only_of(caller)) if caller.may("decisions") else None,
        )

    async def _state(self) -> State:
        found, now = await self._readiness.check(), utc_now()
        return State(
            word=found.status,
            sentence=_SENTENCES[found.status],
            reasons=found.reasons,
            at=now,
            started_at=self._started_at,
            uptime=_duration((now - self._started_at).total_seconds()),
            workers=len(live_workers()),
        )

    def _read_files(self) -> tuple[Challenger | None, Sequence[Change]]:
        """The challenger with its plan, and the latest changes; nothing for a damaged file, which the state reports."""
        try:
            deployment = read_deployment(self._settings)
            changes = read_history(self._settings)[-_N_CHANGES:]
        except (LoanlakeError, OSError, ValueError, LookupError, TypeError):
            return None, ()
        return (deployment.challenger if deployment is not None else None), changes[::-1]

    async def _waiting(self) -> Listed:
        try:
            known = (await self._approvals.versions(None)).versions
        except Problem as problem:
            return Listed(problem=problem.detail)
        served = next((each.version for each in known if each.state == "served"), 0)
        return Listed(
            [_waiting(each) for each in known if each.state in _STANDS and each.version > served][:_N_WAITING]
        )


def _waiting(each: VersionOnItsWay) -> Waiting:
    refusals = [gate for gate in each.gates if not gate.passed]
    return Waiting(
        version=each,
        refusals=refusals,
        n_passed=len(each.gates) - len(refusals),
        overridable=[gate.gate for gate in refusals if gate.can_be_overridden],
        sentence=_STANDS[each.state],
    )


def _serving(served: "ServedDeployment", challenger: Challenger | None) -> Serving:
    versions = [_version("Champion", served.champion, *_champions_part(served))]
    canary = None
    if served.challenger is not None:
        does = {
            "shadow": "scores every application in shadow; its scores are not part of any answer",
            "ab": "answers a share of the applicants, always the same ones",
            "canary": "answers a share of the applicants, as a canary",
        }[served.mode or "shadow"]
        versions.append(_version("Challenger", served.challenger, does, served.share))
        if served.mode == "canary" and challenger is not None:
            canary = _canary(challenger)
    return Serving(versions=versions, canary=canary, source=served.champion.deployment.source)


def _champions_part(served: "ServedDeployment") -> tuple[str, float]:
    if served.share is None:
        return "answers every applicant", 1.0
    return "answers the other applicants", 1 - served.share


def _version(role: str, model: "ServedModel", does: str, share: float | None) -> Version:
    deployment = model.deployment
    return Version(
        role=role,
        name=model.name,
        feature_version=deployment.feature_version,
        does=does,
        share=share,
        since=datetime.fromisoformat(deployment.published_at),
        by=deployment.published_by,
        cut_off=model.scorer.bundle.policy.cut_off,
        test=model.metrics.get("candidate", {}),
        split=measured_split(model.scorer.bundle.metrics),
    )


def _canary(challenger: Challenger) -> Canary | None:
    if challenger.plan is None or challenger.share is None or challenger.step_began_at is None:
        return None
    plan, share = challenger.plan, challenger.share
    steps = [(step, "now" if step == share else "done" if step < share else "next") for step in plan.steps]
    return Canary(
        steps=[*steps, (1.0, "next")],
        step_began_at=datetime.fromisoformat(challenger.step_began_at),
        dwell_minutes=plan.dwell_minutes,
        min_decisions=plan.min_decisions,
    )


def _duration(seconds: float) -> str:
    """A duration in its two greatest units.

    >>> _duration(59), _duration(3720), _duration(200_000)
    ('59 s', '1 h 2 min', '2 d 7 h')
    """
    whole = int(seconds)
    parts = [(whole // 86_400, "d"), (whole // 3_600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((place for place, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number or unit == "s")
