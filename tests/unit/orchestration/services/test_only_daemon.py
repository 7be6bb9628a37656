"""The daemon waits for its turn, watches the other machines, and waits again when it lost it."""

import sys

import psycopg
import pytest

from orchestration.services import only_daemon
from orchestration.services.daemon_turn import DaemonTurn
from orchestration.services.lost_machines import LostMachines
from warehouse.settings import Settings


def test_a_daemon_that_lost_its_turn_waits_for_the_next(team: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """`loanlake up` would end with it, and the machine's API with that."""
    begun: list[list[str]] = []
    watched: list[LostMachines] = []

    def cut_off_and_ended(_options: list[str]) -> None:
        raise SystemExit(0)

    def lose(turn: DaemonTurn) -> None:
        turn.is_lost = True

    def watch(others: LostMachines) -> None:
        watched.append(others)

    monkeypatch.setattr(DaemonTurn, "take", lose)
    monkeypatch.setattr(LostMachines, "watch", watch)
    monkeypatch.setattr("dagster._daemon.cli.cli", cut_off_and_ended)
    monkeypatch.setattr("os.execv", lambda _program, command: begun.append(command))

    with pytest.raises(SystemExit):
        only_daemon.main(["-w", "workspace.yaml"])

    assert len(watched) == 1
    assert begun == [[sys.executable, "-m", "orchestration.services.only_daemon", "-w", "workspace.yaml"]]


def test_one_machine_needs_no_turn(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr("dagster._daemon.cli.cli", ran.append)
    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: pytest.fail("there is no server"))

    only_daemon.main(["-w", "workspace.yaml"])

    assert ran == [["run", "-w", "workspace.yaml"]]
