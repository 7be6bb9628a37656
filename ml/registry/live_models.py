"""Which models still need their training snapshot, so that maintenance keeps it.

Live versions: deployed or on trial; a rollback target; passed and not archived (``loanlake model
archive``); and refused by a gate, as long as the retention, while people look why. Replaying a decision needs only its
log and bundle.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ml.registry.deployment import Deployment, read_deployments
from ml.registry.registered_version import read_versions
from warehouse.settings import Settings


@dataclass(frozen=True)
class LiveModel:
    """A version whose training set must stay readable, and why."""

    model_name: str
    model_version: int
    snapshot: int
    why: str

    def __str__(self) -> str:
        return f"{self.model_name} version {self.model_version} ({self.why})"


def live_models(settings: Settings, *, retention: timedelta) -> list[LiveModel]:
    """Every live version, each once, with the first reason that applies."""
    found: dict[tuple[str, int], LiveModel] = {}
    for model in (*_deployed(settings), *_registered(settings, datetime.now(UTC) - retention)):
        found.setdefault((model.model_name, model.model_version), model)
    return list(found.values())


def _deployed(settings: Settings) -> Iterator[LiveModel]:
    for served in read_deployments(settings):
        if served.challenger is not None:
            yield _live(settings, served.challenger.deployment, "on trial")
        yield _live(settings, served, "deployed")
        before = served.previous
        while before is not None:
            yield _live(settings, before, "a rollback would serve it")
            before = before.previous


def _live(settings: Settings, deployment: Deployment, why: str) -> LiveModel:
    lineage = json.loads((deployment.bundle_directory(settings) / "lineage.json").read_text())
    return LiveModel(deployment.model_name, deployment.model_version, lineage["lake_snapshot"], why)


def _registered(settings: Settings, since: datetime) -> Iterator[LiveModel]:
    for version in read_versions(settings):
        why = None
        if version.passed and not version.archived:
            why = "passed its gates and is not archived"
        elif not version.passed and version.created_at >= since:
            why = "refused, and younger than the retention"
        if why is not None:
            yield LiveModel(version.name, version.version, version.lake_snapshot, why)
