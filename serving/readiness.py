"""Whether this process can score, and what is amiss while it can."""

from serving.deployment_watch import DeploymentWatch
from serving.outbox import Outbox
from serving.wire import Readiness, ReadinessWord
from warehouse.errors import OnlineStoreUnavailable
from warehouse.online_store import OnlineStore


class ReadinessCheck:
    """Asks each part that a score needs."""

    def __init__(self, *, deployments: DeploymentWatch, store: OnlineStore, outbox: Outbox):
        self._deployments = deployments
        self._store = store
        self._outbox = outbox

    async def check(self) -> Readiness:
        """Never raises: what cannot be asked is a reason.

        A newer deployment that cannot be loaded leaves the instance ready (``degraded``): the model before it goes on,
        and taking every instance out of service for one bad bundle would turn a refusal into an outage.
        """
        model = self._deployments.model
        broken = self._deployments.broken
        blocking, amiss = [], []
        if model is None:
            blocking.append(self._deployments.why_none())
        elif broken is not None:
            amiss.append(broken.reason)
        if model is not None and model.online_inputs.is_needed:
            try:
                await self._store.freshness()
            except OnlineStoreUnavailable as error:
                blocking.append(str(error))
        log_problem = await self._outbox.check()
        if log_problem is not None:
            blocking.append(log_problem)
        status: ReadinessWord = "unavailable" if blocking else "degraded" if amiss else "ready"
        return Readiness(status=status, reasons=(*blocking, *amiss), model=model.version if model else None)
