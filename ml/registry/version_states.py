"""The state of each registered version, read without MLflow."""

from dataclasses import dataclass
from typing import Literal

from ml.registry.approval import Approval, read_approvals, standing_refusals, unserved_approval
from ml.registry.deployment import read_deployment, read_history
from ml.registry.registered_version import RegisteredVersion, list_versions
from warehouse.settings import Settings

#: ``served``: the champion. ``on_trial``: the challenger. ``approved``: about to be served. ``refused``: by a gate,
#: without override. ``waiting``: passed, never served. ``replaced``: served before. ``archived``: its snapshots are
#: released.
StateWord = Literal["served", "on_trial", "approved", "refused", "waiting", "replaced", "archived"]


@dataclass(frozen=True)
class VersionState:
    """A registered version, its state, and its latest approval."""

    version: RegisteredVersion
    state: StateWord
    approval: Approval | None


def version_states(settings: Settings, lender: str) -> list[VersionState]:
    """A lender's versions, oldest first; raises BundleError or SettingError for an unreadable file."""
    served, unserved = read_deployment(settings, lender), unserved_approval(settings, lender)
    challenger = served.challenger.deployment if served is not None and served.challenger is not None else None
    approvals = {(each.model_name, each.model_version): each for each in read_approvals(settings, lender)}
    before = {
        (change.deployment.model_name, change.deployment.model_version) for change in read_history(settings, lender)
    }
    states = []
    for version in list_versions(settings, lender):
        key = (version.name, version.version)
        approval = approvals.get(key)
        state: StateWord
        if served is not None and served.is_version(*key):
            state = "served"
        elif challenger is not None and challenger.is_version(*key):
            state = "on_trial"
        elif version.archived:
            state = "archived"
        elif unserved is not None and unserved.is_of(*key):
            state = "approved"
        elif key in before:
            state = "replaced"
        else:
            state = "refused" if standing_refusals(version, approval) else "waiting"
        states.append(VersionState(version, state, approval))
    return states
