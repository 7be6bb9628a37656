"""Whether this process can score, and with which limitations."""

from pathlib import Path

from ml.decisions.freshness import HistoryPolicy, age_text
from serving.deployed.deployment_watch import DeploymentWatch
from serving.http.clock import utc_now
from serving.http.public_text import without_paths
from serving.http.wire import Readiness, ReadinessWord
from serving.scoring.outbox import Outbox
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
    ):
        self._home = home
        self._deployments = deployments
        self._store = store
        self._outbox = outbox
        self._policy = history_policy

    async def check(self) -> Readiness:
        """Never raises: a part that cannot be checked becomes a reason.

        If a newer deployment cannot be loaded, the instance stays ready (``degraded``) with the previous one: one bad
        bundle must not stop every instance. Stale or missing history makes it unavailable only if the policy then
        refuses to score.
        """
        served = self._deployments.deployment
        broken = self._deployments.broken
        blocking, limiting = [], []
        if served is None:
            blocking.append(self._deployments.why_none())
        elif broken is not None:
            limiting.append(broken.reason)
        if served is not None and served.champion.online_inputs.is_needed:
            problem, is_refused = await self._history_problem(served.champion.deployment.source)
            if problem is not None:
                (blocking if is_refused else limiting).append(problem)
        log_problem = await self._outbox.check()
        if log_problem is not None:
            blocking.append(log_problem)
        status: ReadinessWord = "unavailable" if blocking else "degraded" if limiting else "ready"
        return Readiness(
            status=status,
            # readable without a key; the log has the full reasons
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
