"""The served model changes under load, while servers are killed, and while publishers are killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

import pytest

from ml.registry.deployment import read_deployment, read_history
from tests.failure.callers import calling
from tests.failure.log_audit import assert_each_is_logged_once
from tests.free_ports import free_port
from tests.model_factory import publish_model, shared_bundle
from tests.serving_home import ServingHome, furnish
from tests.serving_process import Server, running
from warehouse.settings import Settings

pytestmark = pytest.mark.extended
WORKERS = 4
PUBLISHER = """
import sys
from pathlib import Path
from ml.bundle.bundle import load_bundle
from ml.rollout.promotion import publish
from tests.model_factory import register_model
from warehouse.settings import Settings
settings, bundles = Settings.from_environment(), [load_bundle(Path(path)) for path in sys.argv[2:]]
print("begun", flush=True)
for version in range(int(sys.argv[1]), 10_000):
    publish(settings, register_model(settings, bundles[version % 2], version=version), by="tests")
"""


@pytest.fixture
def serving_home(home: Settings) -> ServingHome:
    return furnish(home)


def test_a_rollback_is_answered_by_every_worker_within_a_second(
    serving_home: ServingHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the moment that it is published; the command needs another second or two to start. The best of three."""
    settings, log = serving_home.settings, tmp_path / "log"
    waits = []
    with running(serving_home, log, workers=WORKERS) as server:
        for version in (2, 3, 4):
            publish_model(settings, version=version, seed=11)
            _wait_for_swaps(log, version, n=WORKERS)
            n_before = len(_swaps(log, version - 1))
            began = time.time()
            # here is no registry: its alias is moved last, so that nothing of it keeps a bad model in service
            command = [Path(sys.executable).with_name("loanlake"), "model", "rollback", "--reason", "a test"]
            subprocess.run(command, capture_output=True, check=False)

            swapped = _wait_for_swaps(log, version - 1, n=n_before + WORKERS)
            published = datetime.fromisoformat(read_history(settings, "simulated")[-1].at).timestamp()
            waits.append((swapped - published, published - began))
            answers = {server.request("GET", "/readyz")["lenders"]["simulated"]["model"]["version"] for _ in range(20)}
            assert answers == {version - 1}
            publish_model(settings, version=version, seed=11)

    with capsys.disabled():
        print(f"\nrollback, {WORKERS} workers: " + ", ".join(f"{a:.2f} s (command {b:.2f} s)" for a, b in waits))
    assert min(wait for wait, _ in waits) < 1


def test_kills_during_swaps_lose_nothing_and_serve_no_half(serving_home: ServingHome, tmp_path: Path) -> None:
    settings, port = serving_home.settings, free_port()
    chance = _chance()
    with calling(port, serving_home, n_callers=4) as told, _publishing_without_end(settings):
        for kill in range(4):
            with running(serving_home, tmp_path / f"log-{kill}", port=port) as server:
                time.sleep(chance.uniform(0.3, 1.0))
                assert server.request("GET", "/readyz")["status"] == "ready"
                server.process.kill()
                server.process.wait()
        with running(serving_home, tmp_path / "log", port=port):
            time.sleep(0.3)

    assert set(told.statuses) == {200}
    assert len(told.versions) > 2
    assert_each_is_logged_once(settings, told)


def test_a_publisher_killed_at_any_moment_leaves_the_old_version_or_the_new(
    serving_home: ServingHome, tmp_path: Path
) -> None:
    """The API continues, and the next publisher continues where the killed one stopped."""
    settings, chance = serving_home.settings, _chance()
    bundles = [str(shared_bundle(seed=seed).directory) for seed in (7, 11)]
    with running(serving_home, tmp_path / "log") as server, calling(server.port, serving_home, n_callers=2) as told:
        for _ in range(8):
            deployment = read_deployment(settings, "simulated")
            assert deployment is not None
            command = [sys.executable, "-c", PUBLISHER, str(deployment.model_version + 1), *bundles]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as publisher:
                assert publisher.stdout is not None
                publisher.stdout.readline()
                time.sleep(chance.uniform(0.0, 0.4))
                publisher.send_signal(signal.SIGKILL)
        _wait_for_version(server, settings)
        ready = server.request("GET", "/readyz")

    assert (ready["status"], ready["reasons"]) == ("ready", [])
    assert set(told.statuses) == {200}
    assert len(told.versions) > 2
    assert_each_is_logged_once(settings, told)
    publish_model(settings, version=deployment.model_version + 1_000)
    assert [path.name for place in ("bundles/*", "deployment/*") for path in settings.home.glob(f"{place}/.*")] == []


@contextmanager
def _publishing_without_end(settings: Settings) -> Iterator[None]:
    """One version after the other, about five a second."""
    stop = Event()

    def publish() -> None:
        version = 1
        while not stop.wait(0.2):
            version += 1
            publish_model(settings, version=version, seed=(7, 11)[version % 2])

    shared_bundle(seed=11)
    thread = Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _swaps(log: Path, version: int) -> list[float]:
    """When workers began to serve a version, by their own log."""
    lines = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("}\n")]
    return [
        datetime.fromisoformat(line["time"]).timestamp()
        for line in lines
        if line["event"] == "serving" and line["champion"].endswith(f"version {version}")
    ]


def _wait_for_swaps(log: Path, version: int, *, n: int) -> float:
    """Time of the last of ``n``."""
    deadline = time.monotonic() + 60
    while len(found := _swaps(log, version)) < n:
        assert time.monotonic() < deadline, f"{len(found)} of {n} workers serve version {version} after a minute"
        time.sleep(0.05)
    return max(found)


def _wait_for_version(server: Server, settings: Settings) -> None:
    deployment = read_deployment(settings, "simulated")
    deadline = time.monotonic() + 30
    while server.request("GET", "/readyz")["lenders"]["simulated"]["model"]["version"] != deployment.model_version:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _chance() -> random.Random:
    seed = int(os.environ.get("LOANLAKE_TEST_SEED", time.time_ns() % 1_000_000))
    print(f"LOANLAKE_TEST_SEED={seed}")
    return random.Random(seed)
