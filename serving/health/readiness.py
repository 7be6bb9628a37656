"""Whether this process can score, and with which limitations."""

from pathlib import Path

from ml.decisions.freshness import HistoryPolicy, age_text
from serving.deployed.deployment_watch import NO_MODEL, DeploymentWatch, LenderWatch
from serving.http.clock import utc_now
from serving.http.public_text import without_paths
from serving.http.wire import LenderReadiness, Readiness, ReadinessWord
from serving.scoring.outbox import Outbox
from serving.team import TeamLink
from warehouse.errors import OnlineStoreUnavailable
from warehouse.online_store import OnlineStore


class ReadinessCheck:
    """Checks each part that a score needs."""

    def __init__(
        self,
        *,
        home: Path,
        deployments: DeploymentWatch,
        store: OnlineStore,
        outbox: Outbox,
        history_policy: HistoryPolicy,
        team: TeamLink,
    ):
        self._home = home
        self._deployments = deployments
        self._store = store
        self._outbox = outbox
        self._policy = history_policy
        self._team = team

    async def check(self) -> Readiness:
        """Never raises: a part that cannot be checked becomes a reason.

        The instance is unavailable if it can score for no lender, ``degraded`` if one has limitations. If a newer
        deployment cannot be loaded, the instance stays ready (``degraded``) with the previous one: one bad bundle must
        not stop every instance. One that is behind its team goes on likewise. Stale or missing history makes it
        unavailable only if the policy then refuses to score.
        """
        lenders = {lender: await self._of(watch) for lender, watch in self._deployments.lenders.items()}
        blocking = [] if lenders else [NO_MODEL]
        log_problem = await self._outbox.check()
        if log_problem is not None:
            blocking.append(log_problem)
        behind = [] if self._team.limitation is None else [self._team.limitation]
        if lenders and all(state.status == "unavailable" for state in lenders.values()):
            status: ReadinessWord = "unavailable"
        elif behind or any(state.status != "ready" for state in lenders.values()):
            status = "degraded"
        else:
            status = "ready"
        reasons = (*blocking, *behind, *(reason for state in lenders.values() for reason in state.reasons))
        return Readiness(
            status="unavailable" if blocking else status,
            # readable without a key; the log has the full reasons
            reasons=tuple(without_paths(reason, self._home) for reason in reasons),
            lenders=lenders,
        )

    async def _of(self, watch: LenderWatch) -> LenderReadiness:
        served, broken = watch.deployment, watch.broken
        blocking: list[str] = []
        limiting: list[str] = []
        if broken is not None:
            (blocking if served is None else limiting).append(broken.reason)
        if served is not None and served.champion.online_inputs.is_needed:
            problem, is_refused = await self._history_problem(watch.lender)
            if problem is not None:
                (blocking if is_refused else limiting).append(problem)
        return LenderReadiness(
            status="unavailable" if blocking or served is None else "degraded" if limiting else "ready",
            reasons=tuple(without_paths(reason, self._home) for reason in (*blocking, *limiting)),
            model=served.champion.version if served else None,
            challenger=served.challenger.version if served and served.challenger else None,
        )

    async def _history_problem(self, source: str) -> tuple[str | None, bool]:
        """The problem with the online store, if any, and whether scores are refused because of it."""
        try:
            fresh = (await self._store.freshness()).get(source)
        except OnlineStoreUnavailable as error:
            return str(error), self._policy.unavailable == "refuse"
        now = utc_now()
        if fresh is None or not self._policy.is_stale(fresh.as_of, now):
            return None, False
        age = age_text(now - fresh.as_of)
        problem = f"history of {source} is stale: it is as of {fresh.as_of.isoformat()}Z, {age} ago"
        return problem, self._policy.stale == "refuse"
