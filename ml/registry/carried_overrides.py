"""Overrides that hold for a refresh: a person accepted a refusal for the same features, family and settings before."""

from collections.abc import Mapping

from ml.judging.gate import Override
from ml.judging.publication import changes
from ml.registry.approval import read_approvals
from ml.registry.deployment import read_deployment
from ml.registry.registered_version import load_registered
from ml.training.lineage import Lineage
from warehouse.settings import Settings


def carried_overrides(settings: Settings, candidate: Lineage) -> Mapping[str, Override]:
    """For a refresh of the champion: the newest override of each gate, of a version that differs by its labels alone.

    Empty if the candidate is no refresh. A champion that was itself a refresh leads to the version that a person
    decided about. Which gates take such an override into account is theirs to say.
    """
    champion = read_deployment(settings, candidate.source)
    if champion is None or not _is_refresh(settings, candidate, champion.model_version):
        return {}
    found: dict[str, Override] = {}
    for approval in read_approvals(settings, candidate.source):
        if approval.overridden and _is_refresh(settings, candidate, approval.model_version):
            override = Override(approval.model_version, approval.by, approval.reason)
            found |= dict.fromkeys(approval.overridden, override)
    return found


def _is_refresh(settings: Settings, candidate: Lineage, version: int) -> bool:
    return not changes(candidate, load_registered(settings, candidate.source, version).lineage)
