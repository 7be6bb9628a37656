"""SIGKILL while decisions are published: the topic gets each of them, in order, some of them more than once."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from orchestration.services.publishing import declared_publications, publish_all
from tests.kafka_servers import Servers, mock_servers, tansu
from tests.unit.orchestration.services.test_publishing import messages
from tests.unit.warehouse.decision_log.test_outbox import A_DECISION
from warehouse import decision_log
from warehouse.lenders import rules
from warehouse.settings import REPOSITORY, Settings

KILLS = int(os.environ.get("LOANLAKE_TEST_KILLS", "6"))
N_APPLICATIONS = 50
CHILD = """
import os, random, signal, sys, threading
from pathlib import Path
from orchestration.services import publishing
from warehouse.lenders import rules
from warehouse.settings import Settings
rules.DIRECTORY = Path(sys.argv[1])
chance = random.Random(sys.argv[2])
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def note(*arguments, note=publishing.note_published, left=[chance.randint(0, 3)]):
    left[0] -= 1
    if left[0] < 0:
        # some before the cursor moves, though every message was acknowledged, the others while the next are sent
        kill() if chance.random() < 0.5 else threading.Timer(chance.uniform(0, 0.02), kill).start()
    note(*arguments)
publishing.note_published = note
while True:
    publishing.publish_all(publishing.declared_publications(Settings.from_environment()), print)
"""


@pytest.fixture(params=["mock", "tansu"])
def kafka(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Servers]:
    with mock_servers() if request.param == "mock" else tansu(tmp_path / "tansu.log") as servers:
        yield servers


@pytest.mark.extended
def test_killed_while_publishing_no_decision_is_lost(
    kafka: Servers, home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("LOANLAKE_TEST_SEED", time.time_ns() % 1_000_000))
    chance = random.Random(seed)
    monkeypatch.setattr(rules, "DIRECTORY", tmp_path)
    environment = {**os.environ, "LOANLAKE_HOME": str(home.home)}
    (tmp_path / "simulated.yml").write_text(
        f"connections: {{core: {{kind: kafka, brokers: ['{kafka.address}']}}}}\n"
        "decisions_to: {connection: core, topic: decisions}\n"
    )
    kafka.create("decisions")
    with deciding(home) as decided:
        codes = []
        for _ in range(KILLS):
            command = [sys.executable, "-c", CHILD, str(tmp_path), str(chance.random())]
            codes.append(subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode)
    publish_all(declared_publications(home), print)

    found = messages(kafka, "decisions")

    first_seen = dict.fromkeys((key, str(value["decision_id"])) for key, value in found)
    of_application: dict[str, list[str]] = {}
    for key, decision_id in first_seen:
        of_application.setdefault(key, []).append(decision_id)
    with capsys.disabled():
        print(f"\nLOANLAKE_TEST_SEED={seed}: {KILLS} kills, {len(decided):,} decisions, {len(found):,} messages")
    assert codes == [-signal.SIGKILL] * KILLS
    assert {decision_id for _, decision_id in first_seen} == set(decided)
    assert of_application == {
        f"a-{each}": decided[each::N_APPLICATIONS] for each in range(min(N_APPLICATIONS, len(decided)))
    }


@contextmanager
def deciding(home: Settings) -> Iterator[list[str]]:
    """Log decisions until the end; yields the ids of those that are durable."""
    decided: list[str] = []
    is_over = threading.Event()

    def decide() -> None:
        with closing(decision_log.create(home)) as log:
            for number in itertools.count():
                if is_over.is_set():
                    break
                new = msgspec.structs.replace(
                    A_DECISION, decision_id=f"d-{number:06}", application_id=f"a-{number % N_APPLICATIONS}"
                )
                decision_log.append(log, [new])
                decided.append(new.decision_id)
                time.sleep(0.001)

    thread = threading.Thread(target=decide)
    thread.start()
    try:
        yield decided
    finally:
        is_over.set()
        thread.join()
