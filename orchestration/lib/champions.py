"""Each source's champion, read from the deployment history, without MLflow."""

import json
from typing import Any

from ml.registry.deployment import Challenger, Deployment, read_deployment, read_history
from ml.registry.deployment import champions as by_source
from warehouse.settings import Settings


def champion_of(settings: Settings, source: str) -> Deployment | None:
    """The source's last deployment, by publishing or rolling back, or None.

    ``deployment.json`` names one model of any source; a lender trained earlier keeps its champion.
    """
    return next((champion for champion in champions(settings) if champion.source == source), None)


def challenger_of(settings: Settings, source: str) -> Challenger | None:
    """The challenger of the source's champion, or None."""
    served = read_deployment(settings)
    return served.challenger if served is not None and served.source == source else None


def champions(settings: Settings) -> list[Deployment]:
    """The champion of every source, with its challenger, by source."""
    found = by_source(settings)
    return [found[source] for source in sorted(found)]


def refresh_config(settings: Settings, source: str) -> dict[str, Any]:
    """Run settings of a training that refreshes a source's champion; without one, only the source."""
    champion = champion_of(settings, source)
    if champion is None:
        return {"source": source}
    lineage = json.loads((champion.bundle_directory(settings) / "lineage.json").read_text())
    return {
        "source": source,
        "feature_version": champion.feature_version,
        "exclude": lineage["settings"]["exclude"],
    }


def was_in_service(settings: Settings, name: str, version: int) -> bool:
    """Whether this version was ever champion or challenger.

    A run does not publish it again: if it is not champion, a person withdrew it, or is trying it.
    """
    for change in read_history(settings):
        champion, challenger = change.deployment, change.deployment.challenger
        if champion.is_version(name, version) or (challenger and challenger.deployment.is_version(name, version)):
            return True
    return False
