"""Serve what ``deployment.json`` says within seconds of its change, without disturbing requests."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ml.registry.deployment import Deployment, read_deployment
from serving.deployed.served_model import ServedDeployment, ServedModel, load_served_model
from serving.http.problems import Unavailable
from serving.telemetry.metrics import Metrics
from warehouse.settings import Settings

log = logging.getLogger("loanlake.serving")

#: Seconds between tries to load a deployment that failed: its files may still be arriving.
RETRY_SECONDS = 10.0
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Broken:
    """A deployment that cannot be served, and the reason."""

    reason: str
    tried_at: float


class DeploymentWatch:
    """Holds the served deployment; checks the file's stat, which costs microseconds."""

    def __init__(
        self,
        settings: Settings,
        *,
        metrics: Metrics,
        load: Callable[[Settings, Deployment], ServedModel] = load_served_model,
    ):
        self._settings = settings
        self._metrics = metrics
        self._load = load
        self._seen: _Stamp | None = None
        self.deployment: ServedDeployment | None = None
        self.broken: Broken | None = None

    def served(self) -> ServedDeployment:
        """The served deployment; raises Unavailable with the reason if there is none."""
        if self.deployment is None:
            raise Unavailable(self.why_none(), retry_after_seconds=10)
        return self.deployment

    def why_none(self) -> str:
        """The reason why no model is served."""
        return self.broken.reason if self.broken else "no model is deployed: `loanlake run` trains and publishes one"

    async def look(self) -> None:
        """Load a changed deployment in a thread and swap it in; after a failure the old one stays."""
        retry = self.broken is not None and time.monotonic() - self.broken.tried_at >= RETRY_SECONDS
        try:
            stamp = self._stamp()
            if stamp == self._seen and not retry:
                return
            self._seen = stamp
            if stamp is None:
                self._refuse("deployment.json is gone" if self.deployment else None)
                return
            deployment, problem = await asyncio.to_thread(self._load_deployed)
        except Exception as error:
            # whatever fails, the served model must continue
            self._refuse(f"the newest deployment cannot be served: {error}")
            return
        self.deployment = deployment
        self._metrics.swaps[("served",)].inc()
        for model, roles in deployment.roles():
            self._metrics.begin(model.deployment, roles)
        self._refuse(problem)
        served = {"champion": deployment.champion, "challenger": deployment.challenger}
        log.info("serving", extra={role: model.name for role, model in served.items() if model is not None})

    def _load_deployed(self) -> tuple[ServedDeployment, str | None]:
        """The deployment, and why its challenger is left out if it cannot be loaded."""
        wanted = read_deployment(self._settings)
        if wanted is None:
            raise FileNotFoundError("deployment.json was removed while it was read")
        champion = self._loaded(replace(wanted, challenger=None, previous=None))
        if wanted.challenger is None:
            return ServedDeployment(champion), None
        try:
            challenger = self._loaded(wanted.challenger.deployment)
        except Exception as error:
            # a version on trial must not take the champion out of service
            return ServedDeployment(champion), f"the challenger cannot be served; the champion answers alone: {error}"
        return ServedDeployment(champion, challenger, wanted.challenger.mode, wanted.challenger.share), None

    def _loaded(self, wanted: Deployment) -> ServedModel:
        for _, model, _ in self.deployment.traffic() if self.deployment is not None else ():
            if model.deployment == wanted:
                return model
        return self._load(self._settings, wanted)

    def _refuse(self, reason: str | None) -> None:
        self._metrics.refused_deployment.set(reason is not None)
        if reason is None:
            self.broken = None
            return
        self.broken = Broken(reason, time.monotonic())
        self._metrics.swaps[("refused",)].inc()
        log.error("deployment refused", extra={"reason": reason})

    def _stamp(self) -> _Stamp | None:
        try:
            stat = self._settings.deployment.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
