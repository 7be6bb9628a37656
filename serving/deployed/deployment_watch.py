"""Serve what each lender's ``deployment.json`` says within seconds of its change, without disturbing requests."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ml.registry.deployment import Deployment, read_deployment
from serving.deployed.served_model import ServedDeployment, ServedModel, load_served_model
from serving.http.problems import LenderNeeded, Unavailable, UnknownLender
from serving.telemetry.metrics import Metrics
from warehouse.settings import Settings

log = logging.getLogger("loanlake.serving")

#: Seconds between tries to load a deployment that failed: its files may still be arriving.
RETRY_SECONDS = 10.0
_Stamp = tuple[int, int, int]
Load = Callable[[Settings, Deployment], ServedModel]
NO_MODEL = "no model is deployed: `loanlake run` trains and publishes one"


@dataclass(frozen=True)
class Broken:
    """A deployment that cannot be served, and the reason."""

    reason: str
    tried_at: float


class LenderWatch:
    """Holds the served deployment of one lender; checks the file's stat, which costs microseconds."""

    def __init__(
        self,
        settings: Settings,
        lender: str,
        *,
        metrics: Metrics,
        load: Load,
    ):
        self._settings = settings
        self.lender = lender
        self._metrics = metrics
        self._load = load
        self._seen: _Stamp | None = None
        self.deployment: ServedDeployment | None = None
        self.broken: Broken | None = None
        metrics.watch(lender)

    async def look(self) -> None:
        """Load a changed deployment in a thread and swap it in; after a failure the old one stays."""
        retry = self.broken is not None and time.monotonic() - self.broken.tried_at >= RETRY_SECONDS
        try:
            stamp = self._stamp()
            if stamp == self._seen and not retry:
                return
            self._seen = stamp
            if stamp is None:
                self._refuse(f"the deployment.json of {self.lender} is gone")
                return
            deployment, problem = await asyncio.to_thread(self._load_deployed)
        except Exception as error:
            # whatever fails, the served model must continue
            self._refuse(f"the newest deployment of {self.lender} cannot be served: {error}")
            return
        self.deployment = deployment
        self._metrics.swaps[self.lender, "served"].inc()
        for model, roles in deployment.roles():
            self._metrics.begin(model.deployment, roles)
        self._refuse(problem)
        served = {"champion": deployment.champion, "challenger": deployment.challenger}
        models = {role: model.name for role, model in served.items() if model is not None}
        log.info("serving", extra={"lender": self.lender, **models})

    def _load_deployed(self) -> tuple[ServedDeployment, str | None]:
        """The deployment, and why its challenger is left out if it cannot be loaded."""
        wanted = read_deployment(self._settings, self.lender)
        if wanted is None:
            raise FileNotFoundError("deployment.json was removed while it was read")
        champion = self._loaded(replace(wanted, challenger=None, previous=None))
        if wanted.challenger is None:
            return ServedDeployment(champion), None
        try:
            challenger = self._loaded(wanted.challenger.deployment)
        except Exception as error:
            # a version on trial must not take the champion out of service
            problem = f"the challenger of {self.lender} cannot be served; the champion answers alone: {error}"
            return ServedDeployment(champion), problem
        return ServedDeployment(champion, challenger, wanted.challenger.mode, wanted.challenger.share), None

    def _loaded(self, wanted: Deployment) -> ServedModel:
        for _, model, _ in self.deployment.traffic() if self.deployment is not None else ():
            if model.deployment == wanted:
                return model
        return self._load(self._settings, wanted)

    def _refuse(self, reason: str | None) -> None:
        self._metrics.show_refusal(self.lender, is_refused=reason is not None)
        if reason is None:
            self.broken = None
            return
        self.broken = Broken(reason, time.monotonic())
        self._metrics.swaps[self.lender, "refused"].inc()
        log.error("deployment refused", extra={"lender": self.lender, "reason": reason})

    def _stamp(self) -> _Stamp | None:
        try:
            stat = self._settings.deployment(self.lender).stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size


class DeploymentWatch:
    """Holds the served deployment of every lender; each is loaded and swapped alone, and a broken one stops no other.

    A request costs one look-up: which lender is the default is decided when files change.
    """

    def __init__(self, settings: Settings, *, metrics: Metrics, load: Load = load_served_model):
        self._settings = settings
        self._metrics = metrics
        self._load = load
        self._watches: dict[str, LenderWatch] = {}
        self._default: LenderWatch | None = None

    @property
    def lenders(self) -> Mapping[str, LenderWatch]:
        """The lenders with a deployment, by name, served or broken."""
        return self._watches

    @property
    def default(self) -> str | None:
        """The lender of requests that name none: the setting's, else the only one; None if there are several."""
        return self._default.lender if self._default is not None else self._settings.default_lender

    def name(self, lender: str | None) -> str:
        """A known lender, or the default; raises UnknownLender, LenderNeeded, or Unavailable if there is none."""
        watch = self._default if lender is None else self._watches.get(lender)
        if watch is None:
            raise self._problem(lender)
        return watch.lender

    def served(self, lender: str | None) -> ServedDeployment:
        """The served deployment of a lender, or of the default; raises as :meth:`name`, and Unavailable if broken."""
        watch = self._default if lender is None else self._watches.get(lender)
        if watch is None or watch.deployment is None:
            raise self._problem(lender)
        return watch.deployment

    def counted(self, lender: str | None) -> str:
        """The known lender that a path names, else the default, else none (an empty text)."""
        watch = self._watches.get(lender) if lender is not None else self._default
        return watch.lender if watch is not None else ""

    def all_served(self) -> list[ServedDeployment]:
        """The served deployments, by lender."""
        return [watch.deployment for watch in self._watches.values() if watch.deployment is not None]

    async def look(self) -> None:
        """Load each changed deployment in a thread and swap it in; after a failure the old one stays."""
        for lender in self._settings.deployed_lenders():
            if lender not in self._watches:
                watch = LenderWatch(self._settings, lender, metrics=self._metrics, load=self._load)
                self._watches = dict(sorted({**self._watches, lender: watch}.items()))
        default = self._settings.default_lender
        if default is None and len(self._watches) == 1:
            default = next(iter(self._watches))
        self._default = self._watches.get(default or "")
        for watch in self._watches.values():
            await watch.look()

    def _problem(self, lender: str | None) -> LenderNeeded | UnknownLender | Unavailable:
        known = ", ".join(self._watches) or "none"
        if lender is not None and lender not in self._watches:
            return UnknownLender(f"No model of the lender {lender[:100]!r} is served; served: {known}")
        watch = self._watches.get(lender or self.default or "")
        if watch is not None and watch.broken is not None:
            return Unavailable(watch.broken.reason, retry_after_seconds=10)
        if lender is None and self.default is None and self._watches:
            return LenderNeeded(f"Name the lender in the path, as in /v1/lenders/{{lender}}/scores; served: {known}")
        named = f"no model of the default lender {self.default} is deployed; deployed: {known}"
        return Unavailable(named if lender is None and self.default else NO_MODEL, retry_after_seconds=10)
