"""One daemon of a team at a time; another machine's takes over when it is killed or cut off."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestration.services import daemon_turn
from warehouse.settings import Settings
from warehouse.team import server

#: Stands in for the daemon: says that it runs, and goes on until it is told to end; started where that was ignored.
_STAND_IN = """
import signal, sys, time
from orchestration.services.daemon_turn import DaemonTurn
from warehouse.settings import Settings

signal.signal(signal.SIGTERM, signal.SIG_IGN)
say = lambda line: print(line, flush=True)
DaemonTurn(Settings.from_environment(), say=say).take()
say("runs")
time.sleep(600)
"""


@contextmanager
def machine(name: str, log: Path, patch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    patch.setenv("LOANLAKE_MACHINE", name)
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", _STAND_IN], stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=30)


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 30
    while text not in log.read_text():
        assert time.monotonic() < deadline, f"{text!r} is not in {log.read_text()!r}"
        time.sleep(0.05)


def test_a_second_waits_names_the_first_and_takes_over_when_that_is_killed(
    team: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = tmp_path / "a.log", tmp_path / "b.log"
    with machine("a", a, monkeypatch) as first:
        wait_for(a, "runs")
        with machine("b", b, monkeypatch):
            wait_for(b, "a runs Dagster's daemon: this one waits")
            assert "\nruns" not in b.read_text()

            first.kill()

            wait_for(b, "\nruns")


def test_one_that_was_cut_off_ends_if_another_took_over(
    team: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = tmp_path / "a.log"
    with machine("a", a, monkeypatch) as first, server(team, "daemon of b") as b:
        wait_for(a, "runs")
        with server(team, "tests") as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and application_name = 'loanlake: daemon of a'"
            )
        b.execute("select pg_advisory_lock(%s)", [daemon_turn._LOCK])

        wait_for(a, "b took over Dagster's daemon while this machine was cut off")
        assert first.wait(timeout=30) == -signal.SIGTERM
