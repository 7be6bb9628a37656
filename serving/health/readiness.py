"""Whether this process can score, and its limitations while it can."""

from collections.abc import Callable
from datetime import datetime
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
    """Asks each part that a score needs."""

    def __init__(
        self,
        *,
        home: Path,
        deployments: DeploymentWatch,
        store: OnlineStore,
        outbox: Outbox,
        history_policy: HistoryPolicy,
        clock: Callable[[], datetime] = utc_now,
    ):
        self._home = home
        self._deployments = deployments
        self._store = store
        self._outbox = outbox
        self._policy = history_policy
        self._clock = clock

    async def check(self) -> Readiness:
        """Never raises: what cannot be asked is a reason.

        A newer deployment that cannot be loaded leaves the instance ready (``degraded``): what was served before goes
        on, and taking every instance out of service for one bad bundle would turn a refusal into an outage. History
        that is stale or cannot be had makes it unavailable only where the policy refuses to score so.
        """
        served = self._deployments.deployment
        broken = self._deployments.broken
        blocking, amiss = [], []
        if served is None:
            blocking.append(self._deployments.why_none())
        elif broken is not None:
            amiss.append(broken.reason)
        if served is not None and served.champion.online_inputs.is_needed:
            problem, is_refused = await self._history_problem(served.champion.deployment.source)
            if problem is not None:
                (blocking if is_refused else amiss).append(problem)
        log_problem = await self._outbox.check()
        if log_problem is not None:
            blocking.append(log_problem)
        status: ReadinessWord = "unavailable" if blocking else "degraded" if amiss else "ready"
        return Readiness(
            status=status,
            # asked without a key; the log has the same reasons whole
            reasons=tuple(without_paths(reason, self._home) for reason in (*blocking, *amiss)),
            model=served.champion.version if served else None,
            challenger=served.challenger.version if served and served.challenger else None,
        )

    async def _history_problem(self, source: str) -> tuple[str | None, bool]:
        """What is amiss with the online store, and whether scores are refused for it."""
        try:
            fresh = (await self._store.freshness()).get(source)
        except OnlineStoreUnavailable as error:
            return str(error), self._policy.unavailable == "refuse"
        now = self._clock()
        if fresh is None or not self._policy.is_stale(fresh.as_of, now):
            return None, False
        age = age_text(now - fresh.as_of)
        problem = f"history of {source} is stale: it is as of {fresh.as_of.isoformat()}Z, {age} ago"
        return problem, self._policy.stale == "refuse"
