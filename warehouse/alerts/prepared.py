"""Every alert in a file of the home: the API's pages show it, and never open the lake for it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from warehouse.alerts.alert import Alert
from warehouse.errors import MonitoringError
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb


class PreparedAlerts(msgspec.Struct, frozen=True):
    """All alerts in the order of :func:`warehouse.alerts.states.read_alerts`, as of ``made_at``, UTC."""

    made_at: datetime
    alerts: tuple[Alert, ...]


def prepare_alerts(settings: Settings, con: "duckdb.DuckDBPyConnection") -> Sequence[Alert]:
    """Replace the file by the alerts of the lake; leaves a home as it is in which nothing was measured yet."""
    import duckdb

    from warehouse.alerts.states import read_alerts

    try:
        found = tuple(read_alerts(con, with_resolved=True))
    except duckdb.CatalogException:
        return ()
    replace_file(settings.prepared_alerts, msgspec.json.encode(PreparedAlerts(datetime.now(UTC), found)))
    return found


def read_prepared(settings: Settings) -> PreparedAlerts | None:
    """The alerts prepared last; None before the first. Raises MonitoringError for an invalid file."""
    path = settings.prepared_alerts
    try:
        return msgspec.json.decode(path.read_bytes(), type=PreparedAlerts)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise MonitoringError(
            f"{path} must hold the prepared alerts: {error}; materialise monitoring/published_figures again"
        ) from error
