"""Machines of a team that accept decisions, and what each had not handed over when it last reported."""

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from warehouse.settings import Settings
from warehouse.team.server import server

if TYPE_CHECKING:
    from warehouse.team.server import Connection

#: A machine reports several times a second; one that is silent for longer is down or cut off.
SILENT_SECONDS = 30.0


class Machine(msgspec.Struct, frozen=True):
    """``n_waiting``: entries of its log that it had not handed over at ``seen_at``; its disk may hold more by now."""

    machine: str
    seen_at: datetime
    n_waiting: int
    seconds_silent: float

    @property
    def is_silent(self) -> bool:
        """Whether it has not reported for longer than machines usually do."""
        return self.seconds_silent > SILENT_SECONDS

    @property
    def sentence(self) -> str:
        """Its state for people."""
        if not self.is_silent:
            return f"{self.machine}: {self.n_waiting:,} entries of its log wait to be handed over"
        return (
            f"{self.machine}: silent since {self.seen_at:%Y-%m-%d %H:%M:%S} UTC, when {self.n_waiting:,} entries of "
            "its log were not handed over; its disk may hold later ones: start `loanlake serve` there again"
        )


def report(connection: "Connection", settings: Settings, n_waiting: int) -> None:
    """Note that this machine lives, and what waits on its disk."""
    connection.execute(
        "insert into loanlake.machines values (%s, clock_timestamp(), %s) on conflict (machine) do update "
        "set seen_at = excluded.seen_at, n_waiting = excluded.n_waiting",
        [settings.machine, n_waiting],
    )


def leave(connection: "Connection", settings: Settings) -> None:
    """Note that this machine stopped as it should: it is expected no more, unless entries wait on its disk."""
    connection.execute("delete from loanlake.machines where machine = %s and n_waiting = 0", [settings.machine])


def machines(settings: Settings) -> list[Machine]:
    """Every machine that ever reported, by name; none in an embedded home."""
    if settings.catalog is None:
        return []
    with server(settings, "list machines") as connection:
        rows = connection.execute(
            "select machine, seen_at at time zone 'UTC', n_waiting, "
            "extract(epoch from clock_timestamp() - seen_at)::double precision from loanlake.machines order by machine"
        ).fetchall()
    return [Machine(*row) for row in rows]


def forget(settings: Settings, machine: str) -> bool:
    """Remove a machine that will not come back; whether it was known."""
    with server(settings, "forget a machine") as connection:
        return connection.execute("delete from loanlake.machines where machine = %s", [machine]).rowcount > 0
