"""Serve what ``deployment.json`` says, within seconds of its change, without a request noticing."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from ml.deployment import Deployment, read_deployment
from serving.problems import Unavailable
from serving.served_model import ServedModel, load_served_model
from warehouse.settings import Settings

log = logging.getLogger("loanlake.serving")

#: How often a deployment that could not be loaded is tried again: its files may still be on their way.
RETRY_SECONDS = 10.0
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Broken:
    """A deployment that cannot be served, and why."""

    reason: str
    tried_at: float


class DeploymentWatch:
    """Holds the model being served; looks at the file's stat, which costs microseconds on any file system."""

    def __init__(
        self,
        settings: Settings,
        *,
        load: Callable[[Settings, Deployment], ServedModel] = load_served_model,
    ):
        self._settings = settings
        self._load = load
        self._seen: _Stamp | None = None
        self.model: ServedModel | None = None
        self.broken: Broken | None = None

    def served(self) -> ServedModel:
        """The model to answer with; raises Unavailable with the reason where there is none."""
        if self.model is None:
            raise Unavailable(self.why_none(), retry_after_seconds=10)
        return self.model

    def why_none(self) -> str:
        """The reason why no model is served."""
        return self.broken.reason if self.broken else "no model is deployed: `loanlake run` trains and publishes one"

    async def look(self) -> None:
        """Load what is deployed where it changed, in a thread, and swap it in; a broken one leaves the old in place."""
        retry = self.broken is not None and time.monotonic() - self.broken.tried_at >= RETRY_SECONDS
        try:
            stamp = self._stamp()
            if stamp == self._seen and not retry:
                return
            self._seen = stamp
            if stamp is None:
                self._refuse("deployment.json is gone" if self.model else None)
                return
            self.model = await asyncio.to_thread(self._load_deployed)
        except Exception as error:
            # whatever is wrong with a bundle or its disk, the model being served must go on
            self._refuse(f"the newest deployment cannot be served: {error}")
            return
        self.broken = None
        version = self.model.version
        log.info("serving a model", extra={"model": version.name, "version": version.version})

    def _load_deployed(self) -> ServedModel:
        deployment = read_deployment(self._settings)
        if deployment is None:
            raise FileNotFoundError("deployment.json was removed while it was read")
        return self._load(self._settings, deployment)

    def _refuse(self, reason: str | None) -> None:
        if reason is None:
            self.broken = None
            return
        self.broken = Broken(reason, time.monotonic())
        log.error("deployment refused", extra={"reason": reason})

    def _stamp(self) -> _Stamp | None:
        try:
            stat = self._settings.deployment.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
