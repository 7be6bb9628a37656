"""What monitoring is about: the champion of a source and its challenger, their bundles, and the months of decisions."""

from dataclasses import dataclass
from datetime import date

from ml.bundle.bundle import Bundle
from ml.monitoring.samples import PREDICTIONS, SHADOW_PREDICTIONS, MonitoredModel, decisions_of
from ml.registry.deployment import Deployment
from ml.registry.registered_version import load_registered
from orchestration.lib.champions import challenger_of, champion_of
from warehouse.errors import NotFoundError
from warehouse.lake.connection import connect
from warehouse.settings import Settings


@dataclass(frozen=True)
class MonitoredVersion:
    """A model version with its bundle."""

    model: MonitoredModel
    bundle: Bundle

    @property
    def snapshot(self) -> int:
        """The lake snapshot of its training rows."""
        return self.bundle.lineage.lake_snapshot


def monitored_champion(settings: Settings, source: str) -> MonitoredVersion:
    """The version of the source's model that was last put in service; raises NotFoundError where none was."""
    champion = champion_of(settings, source)
    if champion is None:
        raise NotFoundError(f"no model of source {source!r} was deployed yet, so there is nothing to monitor")
    return _monitored(settings, champion, PREDICTIONS)


def monitored_versions(settings: Settings, source: str) -> list[MonitoredVersion]:
    """The champion, and its challenger while a challenge runs: each with its own decisions.

    A challenger in shadow is measured on what it would have decided; nothing of that is in the champion's figures.
    """
    versions = [monitored_champion(settings, source)]
    challenger = challenger_of(settings, source)
    if challenger is not None:
        table = SHADOW_PREDICTIONS if challenger.mode == "shadow" else PREDICTIONS
        versions.append(_monitored(settings, challenger.deployment, table))
    return versions


def _monitored(settings: Settings, deployment: Deployment, decisions: str) -> MonitoredVersion:
    model = MonitoredModel(deployment.source, deployment.model_name, deployment.model_version, decisions)
    return MonitoredVersion(model, load_registered(settings, deployment.model_name, deployment.model_version))


def newest_month(settings: Settings, model: MonitoredModel) -> list[date]:
    """The first day of the newest month with decisions; empty where there are none."""
    where, parameters = decisions_of(model, None)
    with connect(settings) as con:
        row = con.execute(
            f"select max(date_trunc('month', decided_at)::date) from {model.decisions} where {where}", parameters
        ).fetchone()
    return [row[0]] if row and row[0] else []
