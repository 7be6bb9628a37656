"""Which version of each source's model was last put in service: read from the deployment history, without MLflow."""

import json
from typing import TYPE_CHECKING, Any

from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.deployment import Deployment


def champion_of(settings: Settings, source: str) -> "Deployment | None":
    """The deployment that last put a model of this source in service, by publishing or rolling back; None if none did.

    ``deployment.json`` names one model, whatever its source; a lender trained earlier keeps its champion all the same.
    """
    return next((champion for champion in champions(settings) if champion.source == source), None)


def champions(settings: Settings) -> "list[Deployment]":
    """The champion of every source that has one, by name of the source."""
    from ml.deployment import Deployment

    latest = {entry["source"]: entry for entry in _history(settings)}
    return [
        Deployment.from_dict(
            {name: value for name, value in latest[source].items() if name != "action"} | {"previous": None}
        )
        for source in sorted(latest)
    ]


def was_published(settings: Settings, name: str, version: int) -> bool:
    """Whether this version was ever in service.

    A run does not publish such a version again: where it is no longer served, a person took it back.
    """
    return any((entry["model_name"], entry["model_version"]) == (name, version) for entry in _history(settings))


def _history(settings: Settings) -> list[dict[str, Any]]:
    if not settings.deployment_history.exists():
        return []
    return [json.loads(line) for line in settings.deployment_history.read_text().splitlines() if line]
