"""Alerts for the page: those that a caller may see, read from the lake at most once a minute."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.access.caller import Caller
from serving.http.public_text import without_paths
from warehouse.errors import LoanlakeError, NoLakeError
from warehouse.settings import Settings

if TYPE_CHECKING:
    from warehouse.alerts.alert import Alert

#: Seconds between two queries of the lake.
_LAKE_SECONDS = 60.0


@dataclass(frozen=True)
class ShownAlerts:
    """Alerts, or why there are none to show."""

    alerts: "Sequence[Alert]" = ()
    problem: str = ""

    @property
    def counts(self) -> str:
        """How many there are in each state."""
        from warehouse.alerts.texts import counts_line

        return counts_line(self.alerts)


class AlertsPage:
    """Reads every alert in a thread, and keeps the result for a minute, whoever asks."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._turn = asyncio.Lock()
        self._read_at = float("-inf")
        self._shown = ShownAlerts()

    async def alerts(self, caller: Caller) -> ShownAlerts:
        """Alerts of all lenders, and of those that the caller may reach; resolved ones last."""
        async with self._turn:
            if time.monotonic() - self._read_at > _LAKE_SECONDS:
                self._shown = await asyncio.to_thread(self._read)
                self._read_at = time.monotonic()
            shown = self._shown
        seen = [each for each in shown.alerts if each.source is None or caller.may_reach(each.source)]
        return ShownAlerts(seen, shown.problem)

    def _read(self) -> ShownAlerts:
        # a process that only scores does without DuckDB
        import duckdb

        from warehouse.alerts.alert import read_alerts
        from warehouse.lake.connection import connect

        try:
            with connect(self._settings) as con:
                return ShownAlerts(read_alerts(con, with_resolved=True))
        except (duckdb.CatalogException, NoLakeError):
            return ShownAlerts(problem="Nothing was measured yet.")
        except (duckdb.Error, OSError, LoanlakeError) as error:
            return ShownAlerts(problem=f"Alerts cannot be read: {without_paths(str(error), self._settings.home)}")
