"""Whose Dagster daemon runs in a team: one machine's at a time, by an advisory lock of its PostgreSQL server.

Two daemons on one storage start a schedule's run twice: each looks whether the run exists, then makes it (3 of 24 runs
due in two minutes were). So the daemons of other machines wait, and the next one begins when the holder ends, is
killed, or is cut off from the server.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from warehouse.errors import TeamError
from warehouse.settings import Settings
from warehouse.team import server

if TYPE_CHECKING:
    from warehouse.team.server import Connection

_LOCK = 5_364_151_729  # an arbitrary constant: the daemon's among a server's advisory locks
_SECONDS_BETWEEN_LOOKS = 1.0
#: The session's name on the server, by which the others know the machine.
SESSION = "daemon of"


class DaemonTurn:
    """The turn of this machine's daemon; ``say`` gets lines for people. ``is_lost``: another machine has it since."""

    def __init__(self, settings: Settings, *, say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self._has_turn = threading.Event()
        self.is_lost = False

    def take(self) -> None:
        """Wait for the turn, then keep it while this process lives; SIGTERM ends the process if it is lost."""
        if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
            # inherited from what started this process: a lost turn would end nothing, and two daemons would go on
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # a daemon thread: the turn ends with the process, however that ends
        threading.Thread(target=self._hold, name="only-daemon", daemon=True).start()
        self._has_turn.wait()

    def _hold(self) -> None:
        problem = None
        while True:
            try:
                with server(self._settings, f"{SESSION} {self._settings.machine}") as connection:
                    self._take_turn(connection)
                    self._has_turn.set()
                    while True:
                        time.sleep(_SECONDS_BETWEEN_LOOKS)
                        connection.execute("select 1")
            except TeamError as error:
                if str(error) != problem:
                    self._say(f"the turn of the team's daemon cannot be had or kept: {error}")
                problem = str(error)
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _take_turn(self, connection: "Connection") -> None:
        said = None
        while connection.execute("select pg_try_advisory_lock(%s)", [_LOCK]).fetchone() != (True,):
            holder = _holder(connection)
            if self._has_turn.is_set():  # this process had it until the server was away
                self._say(f"{holder} took over Dagster's daemon while this machine was cut off from the server")
                self.is_lost = True
                os.kill(os.getpid(), signal.SIGTERM)
                return
            if holder != said:
                self._say(f"{holder} runs Dagster's daemon: this one waits, and takes over when that ends")
                said = holder
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        connection.execute("insert into loanlake.daemon_turns (machine) values (%s)", [self._settings.machine])


def _holder(connection: "Connection") -> str:
    row = connection.execute(
        "select application_name from pg_locks join pg_stat_activity using (pid) "
        "where locktype = 'advisory' and granted and classid = %s and objid = %s",
        [_LOCK >> 32, _LOCK & 0xFFFF_FFFF],
    ).fetchone()
    return "another machine" if row is None else str(row[0]).removeprefix(f"loanlake: {SESSION} ")
