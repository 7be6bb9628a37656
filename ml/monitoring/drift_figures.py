"""The newest month's drift of the versions in service, as a small file beside ``deployment.json``.

For whoever must not open the lake to know: the API shows it at ``/metrics``. Whoever measures drift writes it.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec

from warehouse.errors import MonitoringError
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.monitoring.drift import FeatureDrift, ScoreDrift
    from ml.monitoring.samples import MonitoredModel

#: Stands for a model's own score among the features.
SCORE = "probability"


class Figure(msgspec.Struct, frozen=True):
    """How far a feature, or the SCORE, has moved from the training rows, and whether that is drift."""

    feature: str
    psi: float
    is_drifted: bool


class VersionDrift(msgspec.Struct, frozen=True):
    """Of one version, its newest ``month`` with enough decisions to be judged; ``measured_at`` in UTC."""

    model_name: str
    model_version: int
    month: date
    measured_at: datetime
    figures: tuple[Figure, ...]


def newest_month(
    model: "MonitoredModel", features: "Sequence[FeatureDrift]", scores: "Sequence[ScoreDrift]"
) -> VersionDrift | None:
    """The figures of the newest month that can be judged, else of the newest measured; None where there is none."""
    rows: list[FeatureDrift | ScoreDrift] = [*features, *scores]
    months = {row.month for row in rows if row.is_judged} or {row.month for row in rows}
    if not months:
        return None
    month = max(months)
    figures = [Figure(row.feature, row.psi, row.is_drifted) for row in features if row.month == month]
    figures += [Figure(SCORE, row.psi, row.is_drifted) for row in scores if row.month == month]
    return VersionDrift(model.name, model.version, month, datetime.now(UTC), tuple(figures))


def publish_drift(settings: Settings, source: str, versions: Sequence[VersionDrift]) -> None:
    """Put these in the place of what the source's file said before."""
    replace_file(settings.drift(source), msgspec.json.format(msgspec.json.encode(versions)).decode() + "\n")


def read_drift(settings: Settings, source: str) -> tuple[VersionDrift, ...]:
    """What was published last; none where nothing was. Raises MonitoringError where the file is no such thing."""
    path = settings.drift(source)
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[VersionDrift, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as error:
        raise MonitoringError(
            f"{path} must hold the newest drift of {source}: {error}; materialise monitoring/feature_drift again"
        ) from error
