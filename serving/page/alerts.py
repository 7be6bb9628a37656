"""Alerts for the page: those that a caller may see, read from the lake at most once a minute."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from serving.access.caller import Caller
from serving.http.public_text import without_paths
from warehouse.alerts.rules import alert_rules
from warehouse.errors import LoanlakeError, MonitoringError, NoLakeError
from warehouse.figures.published import read_figures
from warehouse.settings import Settings

if TYPE_CHECKING:
    from warehouse.alerts.alert import Alert

#: Seconds between two queries of the lake.
_LAKE_SECONDS = 60.0


@dataclass(frozen=True)
class ShownAlerts:
    """Alerts, or why there are none to show. ``lenders``: all that the caller may reach and that have one."""

    alerts: "Sequence[Alert]" = ()
    problem: str = ""
    lenders: Sequence[str] = ()

    @property
    def counts(self) -> str:
        """How many there are in each state."""
        from warehouse.alerts.texts import counts_line

        return counts_line(self.alerts)


@dataclass(frozen=True)
class OpenGroup:
    """Open alerts of one kind, and their greatest severity; ``lender`` is empty for alerts of all lenders."""

    lender: str
    title: str
    severity: str
    n_alerts: int


@dataclass(frozen=True)
class OpenAlerts:
    """Open alerts as of ``counted_at``, severe ones first, or why they are not known."""

    groups: Sequence[OpenGroup] = ()
    counted_at: datetime | None = None
    problem: str = ""

    @property
    def n_alerts(self) -> int:
        """Of all groups."""
        return sum(each.n_alerts for each in self.groups)


class AlertsPage:
    """Reads every alert in a thread, and keeps the result for a minute, whoever asks."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._turn = asyncio.Lock()
        self._read_at = float("-inf")
        self._shown = ShownAlerts()

    async def alerts(self, caller: Caller, lender: str | None = None) -> ShownAlerts:
        """Alerts of all lenders, and of those that the caller may reach, or of one; resolved ones last."""
        async with self._turn:
            if time.monotonic() - self._read_at > _LAKE_SECONDS:
                self._shown = await asyncio.to_thread(self._read)
                self._read_at = time.monotonic()
            shown = self._shown
        seen = [each for each in shown.alerts if each.source is None or caller.may_reach(each.source)]
        lenders = sorted({each.source for each in seen if each.source is not None})
        chosen = [each for each in seen if lender is None or each.source in (None, lender)]
        return ShownAlerts(chosen, shown.problem, lenders)

    async def open_alerts(self, caller: Caller) -> OpenAlerts:
        """How many of each kind no person has acknowledged, as ``/metrics`` has them: read without the lake."""
        return await asyncio.to_thread(self._open, caller)

    def _open(self, caller: Caller) -> OpenAlerts:
        try:
            found = read_figures(self._settings)
        except MonitoringError as error:
            return OpenAlerts(problem=f"Alerts cannot be counted: {without_paths(str(error), self._settings.home)}")
        counted = next((each for each in found.figures if each.name == "loan_alerts"), None) if found else None
        if found is None or counted is None or not counted.series:
            return OpenAlerts(problem="No alert was looked for yet: `loanlake run` does at its end.")
        groups: dict[tuple[str, str], OpenGroup] = {}
        for series in counted.series:
            named = dict(zip(counted.labels, series.labels, strict=True))
            lender, kind = named["lender"], named["kind"]
            if named["state"] != "open" or not series.value or (lender and not caller.may_reach(lender)):
                continue
            before = groups.get((lender, kind))
            title = alert_rules()[kind].title if kind in alert_rules() else kind
            severity = "high" if before is not None and before.severity == "high" else named["severity"]
            n_alerts = int(series.value) + (before.n_alerts if before is not None else 0)
            groups[lender, kind] = OpenGroup(lender, title, severity, n_alerts)
        ordered = sorted(groups.values(), key=lambda each: (each.severity != "high", each.lender, each.title))
        return OpenAlerts(ordered, found.made_at)

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
