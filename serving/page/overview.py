"""Content of the page at ``/`` for one lender: state, served versions, waiting versions, recent decisions."""

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ml.registry.deployment import Challenger, Change, read_deployment, read_history
from serving.access.caller import Caller
from serving.decisions.reader import DecisionReader
from serving.deployed.approvals import ApprovalService
from serving.deployed.deployment_watch import DeploymentWatch
from serving.health.readiness import ReadinessCheck
from serving.http.clock import utc_now
from serving.http.problems import Problem
from serving.http.public_text import without_paths
from serving.telemetry.workers import live_workers
from warehouse import decision_log
from warehouse.errors import LoanlakeError
from warehouse.settings import Settings

_N_CHANGES = 5
_N_WAITING = 3
_N_RECENT = 15


@dataclass(frozen=True)
class Listed:
    """Rows, or the reason why there are none."""

    rows: Sequence[Any] = ()
    problem: str = ""


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
        self._started_at = utc_now()

    async def overview(self, caller: Caller, asked: str | None) -> dict[str, Any]:
        """The parts that the caller may see; an unreadable part is shown as such, never raised.

        ``asked``: a lender; without it, the default or the first that the caller may reach. ``canary``: the challenger
        with its plan. ``waiting`` and ``recent`` are None for a caller who may not see them.
        """
        state, at = await self._readiness.check(), utc_now()
        lenders = [lender for lender in self._deployments.lenders if caller.may_reach(lender)]
        lender = next((each for each in (asked, self._deployments.default, *lenders) if each in lenders), None)
        watch = self._deployments.lenders.get(lender or "")
        served = watch.deployment if watch is not None else None
        challenger, changes = await asyncio.to_thread(self._read_files, lender)
        return {
            "state": state,
            "at": at,
            "started_at": self._started_at,
            "uptime": _duration((at - self._started_at).total_seconds()),
            "workers": len(live_workers()),
            "lenders": {each: state.lenders[each].status for each in lenders if each in state.lenders},
            "lender": lender,
            "served": served,
            "canary": challenger if served is not None and served.mode == "canary" else None,
            "changes": changes,
            "log_days": f"{self._settings.decision_log_days:g}",
            "waiting": await self._waiting(lender) if caller.may("approve") else None,
            "recent": await self._recent(caller, lender) if caller.may("decisions") else None,
        }

    def _read_files(self, lender: str | None) -> tuple[Challenger | None, Sequence[Change]]:
        """The challenger with its plan, and the latest changes; nothing for a damaged file, which the state reports."""
        if lender is None:
            return None, ()
        try:
            deployment = read_deployment(self._settings, lender)
            changes = read_history(self._settings, lender)[-_N_CHANGES:]
        except (LoanlakeError, OSError, ValueError, LookupError, TypeError):
            return None, ()
        return (deployment.challenger if deployment is not None else None), changes[::-1]

    async def _waiting(self, lender: str | None) -> Listed:
        try:
            known = (await self._approvals.versions(lender)).versions
        except Problem as problem:
            return Listed(problem=problem.detail)
        served = next((each.version for each in known if each.state == "served"), 0)
        newer = [each for each in known if each.state in ("waiting", "refused", "approved") and each.version > served]
        return Listed(newer[:_N_WAITING])

    async def _recent(self, caller: Caller, lender: str | None) -> Listed:
        """The newest decisions of the log, of a lender, of all or one caller, or why they cannot be read.

        Not of the lake: to open it and read a table of years takes seconds.
        """
        is_one = len(self._deployments.lenders) < 2 and caller.lenders is None  # no decision need be left out
        sources = None if is_one else self._decisions.lenders_of(caller, lender)
        only_of = self._decisions.only_of(caller)
        try:
            found = await asyncio.to_thread(
                decision_log.newest_in_outbox, self._settings, _N_RECENT, sources=sources, caller_id=only_of
            )
        except (sqlite3.Error, OSError, LoanlakeError) as error:
            reason = without_paths(str(error), self._settings.home)
            return Listed(problem=f"Recent decisions cannot be read: {reason}")
        return Listed(found)


def _duration(seconds: float) -> str:
    """A duration in its two greatest units.

    >>> _duration(59), _duration(3720), _duration(200_000)
    ('59 s', '1 h 2 min', '2 d 7 h')
    """
    whole = int(seconds)
    parts = [(whole // 86_400, "d"), (whole // 3_600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((place for place, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number or unit == "s")
