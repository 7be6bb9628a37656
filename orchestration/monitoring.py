"""What monitoring is about: the champion of a source, its bundle, and the months it has decided in."""

from dataclasses import dataclass
from datetime import date

from ml.bundle import Bundle, load_bundle
from ml.monitoring import MonitoredModel, decisions_of
from orchestration.champions import champion_of
from warehouse.errors import NotFoundError
from warehouse.lake import connect
from warehouse.settings import Settings


@dataclass(frozen=True)
class MonitoredChampion:
    """A model version with its bundle."""

    model: MonitoredModel
    bundle: Bundle

    @property
    def snapshot(self) -> int:
        """The lake snapshot of its training rows."""
        return self.bundle.lineage.lake_snapshot


def monitored_champion(settings: Settings, source: str) -> MonitoredChampion:
    """The version of the source's model that was last put in service; raises NotFoundError where none was."""
    champion = champion_of(settings, source)
    if champion is None:
        raise NotFoundError(f"no model of source {source!r} was deployed yet, so there is nothing to monitor")
    model = MonitoredModel(source, champion.model_name, champion.model_version)
    return MonitoredChampion(model, load_bundle(champion.bundle_directory(settings)))


def newest_month(settings: Settings, model: MonitoredModel) -> list[date]:
    """The first day of the newest month with decisions; empty where there are none."""
    where, parameters = decisions_of(model, None)
    with connect(settings) as con:
        row = con.execute(
            f"select max(date_trunc('month', decided_at)::date) from serving.predictions where {where}", parameters
        ).fetchone()
    return [row[0]] if row and row[0] else []
