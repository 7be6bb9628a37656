"""Runs that a team's lost machine left "started": the machine whose daemon has the turn ends them.

Dagster does not say on which machine a daemon's run is executed. But a run is executed where the daemon is that started
it, and a team's server keeps whose turn it was when. A machine is there as long as its daemon, which runs or waits, has
a session at the server.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dagster import DagsterInstance

from orchestration.running.instance import end_run, is_of_gone_process, runs_of_daemon
from orchestration.services.daemon_turn import SESSION
from warehouse.errors import TeamError
from warehouse.settings import Settings
from warehouse.settings.variable import masked
from warehouse.team import TeamServer

if TYPE_CHECKING:
    from dagster import RunRecord

    from warehouse.team.server import Connection

#: A machine is lost when it was missed at two looks in a row. One that was cut off is back within seconds.
SECONDS_BETWEEN_LOOKS = 60.0


class LostMachines:
    """What the machine that has the turn sees of the others; ``say`` gets a line for each run that it ended."""

    def __init__(self, settings: Settings, *, say: Callable[[str], None]) -> None:
        self._here, self._say = settings.machine, say
        self._server = TeamServer(settings, f"lost machines as seen by {settings.machine}")
        self._missed: set[str] = set()

    def watch(self) -> None:
        """Look every minute, in a thread that ends with the process."""
        threading.Thread(target=self._watch, name="lost-machines", daemon=True).start()

    def look(self, instance: DagsterInstance) -> list[str]:
        """End the runs of machines that were missed at the look before and are missed now; their ids.

        Also those of this machine whose process is gone: it may have been started again. Raises TeamError.
        """
        # a look that fails leaves none: after a server was away, machines need a moment to come back
        missed_before, self._missed = self._missed, set()
        turns = self._server.call(_turns)
        present = self._server.call(_present)
        missed = {machine for _, machine in turns} - present - {self._here}
        ended = []
        for record in runs_of_daemon(instance):
            machine = _machine_of(record, turns)
            if machine == self._here and is_of_gone_process(instance, record.dagster_run):
                why = "the process that executed this run is gone"
            elif machine in missed & missed_before:
                why = (
                    f"machine {machine}, which executed this run, has had no session at the team's server for a minute"
                )
            else:
                continue
            end_run(instance, record.dagster_run, why)
            self._say(f"run {record.dagster_run.run_id} is marked as failed: {why}")
            ended.append(record.dagster_run.run_id)
        self._missed = missed
        return ended

    def _watch(self) -> None:
        pause, problem = threading.Event(), None
        while True:
            try:
                with DagsterInstance.get() as instance:
                    self.look(instance)
                problem = None
            # SQLAlchemy's errors too, while the server is away
            except Exception as error:
                if (text := _short(error)) != problem:
                    self._say(f"runs of lost machines cannot be looked for: {text}")
                problem = text
            pause.wait(SECONDS_BETWEEN_LOOKS)


def _machine_of(record: "RunRecord", turns: Sequence[tuple[datetime, str]]) -> str | None:
    """Whose turn it was when the run began; None before the first turn."""
    began = record.start_time or record.update_timestamp.timestamp()
    place = bisect_right([taken_at.timestamp() for taken_at, _ in turns], began)
    return turns[place - 1][1] if place else None


def _turns(connection: "Connection") -> list[tuple[datetime, str]]:
    return connection.execute("select taken_at, machine from loanlake.daemon_turns order by taken_at").fetchall()


def _present(connection: "Connection") -> set[str]:
    rows = connection.execute(
        "select distinct machine from loanlake.daemon_turns join pg_stat_activity "
        "on application_name = left('loanlake: ' || %s || ' ' || machine, 63) where datname = current_database()",
        [SESSION],
    ).fetchall()
    return {machine for (machine,) in rows}


def _short(error: Exception) -> str:
    first_line = masked(str(error)).partition("\n")[0]
    return first_line if isinstance(error, TeamError) else f"{type(error).__name__}: {first_line}"
