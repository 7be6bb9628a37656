"""The thread of each worker that pulls what is served and hands the outbox over, several times a second.

While the server is away the machine answers from its own disk; decisions wait there.
"""

import logging
import math
import threading
import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from warehouse.batches import BatchStates
from warehouse.batches.files import remove_unknown
from warehouse.decision_log import Backlog
from warehouse.decision_log.handover import backlog_on_server, hand_over
from warehouse.errors import TeamError
from warehouse.settings import Settings
from warehouse.team import TeamServer, follow, pull
from warehouse.team.machines import SILENT_SECONDS, leave

log = logging.getLogger("loanlake.serving")

#: How often the server is asked how much the lake lacks.
_COUNT_SECONDS = 5.0
#: How often files of removed batches are removed from this machine.
_TIDY_SECONDS = 600.0
#: Files of a batch that is being accepted have no batch yet.
_YOUNG_SECONDS = 3600.0


class TeamLink:
    """Nothing in an embedded home. ``problem``: why the last pass failed, None while they succeed."""

    def __init__(self, settings: Settings, *, poll_seconds: float):
        self._settings = settings
        self._poll_seconds = poll_seconds
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._team = TeamServer(settings, f"API of {settings.machine}") if settings.catalog is not None else None
        self._done_at = time.monotonic()
        self._tidied_at = time.monotonic()
        self._counted_at = -math.inf
        self.problem: str | None = None
        #: What all machines handed over and the lake does not have yet; None until known.
        self.handed_over: Backlog | None = None

    def start(self) -> None:
        """Pull once, so that the first look finds what is served, then follow."""
        if self._team is None:
            return
        follow(self._settings)
        self._look()
        self._thread = threading.Thread(target=self._work, name="team", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hand over what is left, as far as the server answers, and leave the team."""
        if self._team is None or self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._look()
        try:
            self._team.call(lambda con: leave(con, self._settings))
        except TeamError as error:
            log.warning("this machine stays among those that are expected", extra={"reason": str(error)})
        self._team.close()

    def collect(self) -> Iterator[Metric]:
        """Seconds since the last successful pass, for ``/metrics``."""
        if self._team is not None:
            age = GaugeMetricFamily(
                "loanlake_team_seconds_behind", "Seconds since this machine was last in step with its team's server"
            )
            age.add_metric([], time.monotonic() - self._done_at)
            yield age

    @property
    def limitation(self) -> str | None:
        """That this machine is behind its team, for readiness; None in step, and for a moment's outage."""
        seconds = time.monotonic() - self._done_at
        if self.problem is None or seconds < SILENT_SECONDS:
            return None
        return (
            f"not in step with the team's server for {seconds:,.0f} s: decisions may wait on this machine's disk, and "
            "changes of models may be missing; the log and `loanlake doctor` say why"
        )

    def _work(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            self._look()

    def _look(self) -> None:
        if self._team is None:
            return
        problems = []
        for step in (self._pull, self._hand_over, self._count, self._tidy):
            try:
                step(self._team)
            except Exception as error:  # whatever it is: a file that cannot be pulled must not keep decisions here
                problems.append(str(error))
        problem = "; ".join(dict.fromkeys(problems)) or None
        if problem is not None and self.problem is None:  # one line per outage
            log.error("not in step with the team's server", extra={"reason": problem})
        if problem is None and self.problem is not None:
            log.info("in step with the team's server again")
        self.problem = problem
        if problem is None:
            self._done_at = time.monotonic()

    def _pull(self, team: TeamServer) -> None:
        team.call(lambda con: pull(self._settings, con))

    def _hand_over(self, team: TeamServer) -> None:
        team.call(lambda con: hand_over(self._settings, con), whole=False)

    def _count(self, team: TeamServer) -> None:
        if time.monotonic() - self._counted_at >= _COUNT_SECONDS:
            self.handed_over = team.call(backlog_on_server)
            self._counted_at = time.monotonic()

    def _tidy(self, _team: TeamServer) -> None:
        if time.monotonic() - self._tidied_at < _TIDY_SECONDS:
            return
        self._tidied_at = time.monotonic()
        states = BatchStates(self._settings)
        remove_unknown(self._settings, lambda name: states.find(name) is not None, before=time.time() - _YOUNG_SECONDS)
