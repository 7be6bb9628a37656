"""Alerts for the pages: those that a caller may see, from the home's file of prepared alerts, never from the lake."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from serving.access.caller import Caller
from serving.http.public_text import without_paths
from warehouse.alerts.alert import Alert
from warehouse.alerts.prepared import PreparedAlerts, read_prepared
from warehouse.alerts.texts import counts_line
from warehouse.errors import MonitoringError
from warehouse.settings import Settings


@dataclass(frozen=True)
class ShownAlerts:
    """Alerts as of ``made_at``, or why there are none to show.

    ``lenders``: all that the caller may reach and that have one.
    """

    alerts: Sequence[Alert] = ()
    problem: str = ""
    lenders: Sequence[str] = ()
    made_at: datetime | None = None

    @property
    def counts(self) -> str:
        """How many there are in each state."""
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
    """Open alerts as of ``made_at``, severe ones first, or why they are not known."""

    groups: Sequence[OpenGroup] = ()
    made_at: datetime | None = None
    problem: str = ""

    @property
    def n_alerts(self) -> int:
        """Of all groups."""
        return sum(each.n_alerts for each in self.groups)


class AlertsPage:
    """Reads the file in a thread, and decodes it once for each change."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._kept: tuple[tuple[int, int], PreparedAlerts] | None = None

    async def alerts(self, caller: Caller, lender: str | None = None) -> ShownAlerts:
        """Alerts of all lenders, and of those that the caller may reach, or of one; resolved ones last."""
        shown = await asyncio.to_thread(self._shown, caller)
        chosen = [each for each in shown.alerts if lender is None or each.source in (None, lender)]
        return ShownAlerts(chosen, shown.problem, shown.lenders, shown.made_at)

    async def open_alerts(self, caller: Caller) -> OpenAlerts:
        """How many of each kind no person has acknowledged."""
        shown = await asyncio.to_thread(self._shown, caller)
        groups: dict[tuple[str, str], OpenGroup] = {}
        for each in shown.alerts:
            if each.state != "open":
                continue
            key = each.source or "", each.kind
            before = groups.get(key)
            severity = "high" if before is not None and before.severity == "high" else each.severity
            groups[key] = OpenGroup(key[0], each.rule.title, severity, (before.n_alerts if before else 0) + 1)
        ordered = sorted(groups.values(), key=lambda each: (each.severity != "high", each.lender, each.title))
        return OpenAlerts(ordered, shown.made_at, shown.problem)

    def _shown(self, caller: Caller) -> ShownAlerts:
        try:
            found = self._read()
        except MonitoringError as error:
            return ShownAlerts(problem=f"Alerts cannot be read: {without_paths(str(error), self._settings.home)}")
        if found is None:
            return ShownAlerts(problem="Nothing was measured yet: `loanlake run` looks for alerts at its end.")
        seen = [each for each in found.alerts if each.source is None or caller.may_reach(each.source)]
        lenders = sorted({each.source for each in seen if each.source is not None})
        return ShownAlerts(seen, lenders=lenders, made_at=found.made_at)

    def _read(self) -> PreparedAlerts | None:
        try:
            found = self._settings.prepared_alerts.stat()
        except OSError:
            return read_prepared(self._settings)  # None for a missing file, else it names the fault
        stamp = found.st_mtime_ns, found.st_ino
        if self._kept is None or self._kept[0] != stamp:
            prepared = read_prepared(self._settings)
            if prepared is None:
                return None
            self._kept = stamp, prepared
        return self._kept[1]
