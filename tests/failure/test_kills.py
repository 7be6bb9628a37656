"""SIGKILL at any moment: answered decisions are in the log, once, and other requests can be repeated."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.failure.callers import calling
from tests.failure.log_audit import assert_each_is_logged_once
from tests.free_ports import free_port
from tests.serving_home import ServingHome, furnish
from tests.serving_process import Server, running
from warehouse import decision_log
from warehouse.settings import Settings

#: Each takes four seconds, mostly of the next start; each run of the suite takes other moments.
KILLS = int(os.environ.get("LOANLAKE_TEST_KILLS", "8"))


@pytest.fixture
def serving_home(home: Settings) -> ServingHome:
    return furnish(home)


@pytest.mark.extended
def test_kills_under_load_lose_nothing_that_was_answered(
    serving_home: ServingHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One worker or two, a worker or the parent, and the lake taking decisions in meanwhile."""
    seed = int(os.environ.get("LOANLAKE_TEST_SEED", time.time_ns() % 1_000_000))
    with capsys.disabled():
        print(f"\n{KILLS} kills at random moments, LOANLAKE_TEST_SEED={seed}")
    chance, port, n_kills, waits = random.Random(seed), free_port(), 0, []

    with calling(port, serving_home) as told:
        while n_kills < KILLS:
            n_workers = chance.choice((1, 2))
            log = tmp_path / f"log-{n_kills}"
            with running(serving_home, log, workers=n_workers, port=port) as server:
                waits.append(server.seconds_to_ready)
                for victim in victims(server, n_workers, chance):
                    time.sleep(chance.uniform(0.05, 0.8))
                    os.kill(victim, signal.SIGKILL)
                    n_kills += 1
                server.process.wait()
            if chance.random() < 0.3:
                decision_log.ingest_into_lake(serving_home.settings)
        with running(serving_home, tmp_path / "log", port=port):  # those who wait for an answer get it
            time.sleep(0.5)

    with capsys.disabled():
        print(
            f"{len(told.scores):,} scores answered, {told.n_unanswered} requests not, {told.n_sent_again} sent again; "
            f"ready after {median(waits):.2f} s (median of {len(waits)} starts, slowest {max(waits):.2f} s)"
        )
    assert set(told.statuses) == {200}
    assert told.n_sent_again > 0
    assert_each_is_logged_once(serving_home.settings, told)


def victims(server: Server, n_workers: int, chance: random.Random) -> Iterator[int]:
    """Whom to kill: the only process, or up to three workers, which are replaced, and then their parent."""
    killed: set[int] = set()
    if n_workers > 1:
        for _ in range(chance.randint(0, 3)):
            while not (alive := set(server.workers()) - killed):
                time.sleep(0.05)
            victim = chance.choice(sorted(alive))
            killed.add(victim)
            yield victim
    yield server.process.pid


@pytest.mark.extended
def test_workers_whose_parent_was_killed_leave_the_port(serving_home: ServingHome, tmp_path: Path) -> None:
    """Prevents workers that answer forever, so that no new server can be started."""
    port = free_port()
    with running(serving_home, tmp_path / "log", workers=2, port=port) as server:
        server.process.kill()
        server.process.wait()

        with running(serving_home, tmp_path / "next", port=port) as following:
            assert following.process.poll() is None
            deadline = time.monotonic() + 20
            while server.workers() and time.monotonic() < deadline:
                time.sleep(0.1)
            assert server.workers() == []
