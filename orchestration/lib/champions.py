"""Each source's champion, and whether a version was ever in service; without MLflow."""

import json
from typing import Any

from ml.registry.deployment import Challenger, Deployment, read_deployment, read_history
from warehouse.settings import Settings


def champion_of(settings: Settings, source: str) -> Deployment | None:
    """The source's deployment, or None."""
    return read_deployment(settings, source)


def challenger_of(settings: Settings, source: str) -> Challenger | None:
    """The challenger of the source's champion, or None."""
    champion = champion_of(settings, source)
    return champion.challenger if champion is not None else None


def refresh_config(settings: Settings, source: str) -> dict[str, Any]:
    """Run settings of a training that refreshes a source's champion; empty without one."""
    champion = champion_of(settings, source)
    if champion is None:
        return {}
    lineage = json.loads((champion.bundle_directory(settings) / "lineage.json").read_text())
    return {
        "feature_version": champion.feature_version,
        "exclude": lineage["settings"]["exclude"],
        "family": lineage["settings"]["family"],
        "refreshed_version": champion.model_version,
    }


def was_in_service(settings: Settings, source: str, name: str, version: int) -> bool:
    """Whether this version was ever champion or challenger.

    A run does not publish it again: if it is not champion, a person withdrew it, or is trying it.
    """
    for change in read_history(settings, source):
        champion, challenger = change.deployment, change.deployment.challenger
        if champion.is_version(name, version) or (challenger and challenger.deployment.is_version(name, version)):
            return True
    return False
