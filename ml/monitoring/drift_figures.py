"""The newest month's drift of the versions in service, in a small file beside ``deployment.json``.

The measuring process writes it; the API shows it at ``/metrics`` without opening the lake.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec

from warehouse.errors import MonitoringError
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings
from warehouse.team import push

if TYPE_CHECKING:
    from ml.monitoring.drift import FeatureDrift, ScoreDrift
    from ml.monitoring.samples import MonitoredModel

#: The model's score among the features.
SCORE = "probability"


class Figure(msgspec.Struct, frozen=True):
    """How far a feature, or the SCORE, has moved from the training rows, and whether that is drift.

    ``psi_limit`` None: the month has too few decisions to be judged.
    """

    feature: str
    psi: float
    is_drifted: bool
    psi_limit: float | None = None


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
    """The newest judged month's figures, else the newest measured; None if there are none."""
    rows: list[FeatureDrift | ScoreDrift] = [*features, *scores]
    months = {row.month for row in rows if row.is_judged} or {row.month for row in rows}
    if not months:
        return None
    month = max(months)
    figures = [Figure(row.feature, row.psi, row.is_drifted, row.psi_limit) for row in features if row.month == month]
    figures += [Figure(SCORE, row.psi, row.is_drifted, row.psi_limit) for row in scores if row.month == month]
    return VersionDrift(model.name, model.version, month, datetime.now(UTC), tuple(figures))


def publish_drift(settings: Settings, source: str, versions: Sequence[VersionDrift]) -> None:
    """Replace the figures in the source's file."""
    replace_file(settings.drift(source), msgspec.json.format(msgspec.json.encode(versions)).decode() + "\n")
    push(settings, settings.drift(source))


def read_drift(settings: Settings, source: str) -> tuple[VersionDrift, ...]:
    """The last published figures, or none; raises MonitoringError for an invalid file."""
    path = settings.drift(source)
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[VersionDrift, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as error:
        raise MonitoringError(
            f"{path} must hold the newest drift of {source}: {error}; materialise monitoring/feature_drift again"
        ) from error
