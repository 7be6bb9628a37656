"""What monitoring measures: champion and challenger of a source, their bundles, and months of decisions."""

from dataclasses import dataclass
from datetime import date

from ml.bundle.bundle import Bundle
from ml.monitoring.samples import PREDICTIONS, SHADOW_PREDICTIONS, MonitoredModel, decisions_of
from ml.registry.deployment import Deployment, read_history
from ml.registry.registered_version import list_versions, load_registered
from orchestration.lib.champions import challenger_of, champion_of
from warehouse.errors import NotFoundError
from warehouse.lake.connection import connect
from warehouse.settings import Settings


@dataclass(frozen=True)
class MonitoredVersion:
    """A model version with its bundle; ``role``: champion, challenger or shadow."""

    model: MonitoredModel
    bundle: Bundle
    role: str = "champion"

    @property
    def snapshot(self) -> int:
        """The lake snapshot of its training rows."""
        return self.bundle.lineage.lake_snapshot


def monitored_champion(settings: Settings, source: str) -> MonitoredVersion:
    """The source's version last put in service; raises NotFoundError if there is none."""
    champion = champion_of(settings, source)
    if champion is None:
        raise NotFoundError(f"no model of source {source!r} was deployed yet, so there is nothing to monitor")
    return _monitored(settings, champion, PREDICTIONS)


def monitored_versions(settings: Settings, source: str) -> list[MonitoredVersion]:
    """The champion and any running challenger, each with its own decisions.

    A shadow challenger is measured on its hypothetical decisions, which do not count for the champion.
    """
    versions = [monitored_champion(settings, source)]
    challenger = challenger_of(settings, source)
    if challenger is not None:
        table = SHADOW_PREDICTIONS if challenger.mode == "shadow" else PREDICTIONS
        role = "shadow" if challenger.mode == "shadow" else "challenger"
        versions.append(_monitored(settings, challenger.deployment, table, role))
    return versions


def replaced_versions(settings: Settings, source: str) -> list[MonitoredModel]:
    """Versions that were champion and have no role now, oldest first; not archived ones, whose rows may be gone."""
    champion, challenger = champion_of(settings, source), challenger_of(settings, source)
    in_a_role = [
        *([champion] if champion is not None else []),
        *([challenger.deployment] if challenger is not None else []),
    ]
    kept = {(each.name, each.version) for each in list_versions(settings, source) if not each.archived}
    kept -= {(each.model_name, each.model_version) for each in in_a_role}
    past = ((each.deployment.model_name, each.deployment.model_version) for each in read_history(settings, source))
    return [MonitoredModel(source, *version) for version in dict.fromkeys(past) if version in kept]


def _monitored(settings: Settings, deployment: Deployment, decisions: str, role: str = "champion") -> MonitoredVersion:
    model = MonitoredModel(deployment.source, deployment.model_name, deployment.model_version, decisions)
    return MonitoredVersion(model, load_registered(settings, deployment.source, deployment.model_version), role)


def newest_month(settings: Settings, model: MonitoredModel) -> list[date]:
    """The first day of the newest month with decisions, or empty."""
    where, parameters = decisions_of(model, None)
    with connect(settings) as con:
        row = con.execute(
            f"select max(date_trunc('month', decided_at)::date) from {model.decisions} where {where}", parameters
        ).fetchone()
    return [row[0]] if row and row[0] else []
