"""SIGKILL around the commit, consumers that come and go, and topics that are read again: each message counts once.

Against two servers that speak Kafka: librdkafka's mock cluster, and Tansu in a process of its own.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.kafka_servers import Servers, mock_servers, tansu
from warehouse.lake.connection import connect
from warehouse.lenders import rules
from warehouse.settings import REPOSITORY, Settings
from warehouse.sources.streaming.streams import declared_streams, drain

#: Of each server; each takes about three seconds, mostly of the next start.
KILLS = int(os.environ.get("LOANLAKE_TEST_KILLS", "6"))
CHILD = """
import os, random, signal, sys, threading
from pathlib import Path
from warehouse.lenders import rules
from warehouse.settings import Settings
from warehouse.sources import landing
from warehouse.sources.streaming import stream, streams
rules.DIRECTORY = Path(sys.argv[1])
chance, does = random.Random(sys.argv[2]), sys.argv[3]
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
def at_commit(landed, check=landing.LandedFile.require_unchanged, left=[chance.randint(0, 2)]):
    check(landed)
    left[0] -= 1
    if left[0] < 0:
        # half of them before the commit begins, the others within or just after it
        kill() if chance.random() < 0.3 else threading.Timer(chance.uniform(0, 0.06), kill).start()
settings = Settings.from_environment()
found = streams.declared_streams(settings, "bank")
if does == "drain":
    landing.LandedFile.require_unchanged = at_commit
    while True:
        streams.drain(found, print, print)
# as another machine's: a lock of its own, and files that it does not see
stream.file_turn_if_free = lambda path, turn=stream.file_turn_if_free: turn(path.with_name(f"{does}.lock"))
stream._remove_unloaded = lambda declared: None
streams.follow(found, print, print, is_over=lambda: False)
"""
IN_THE_LAKE = """
    select topic_partition, topic_offset, count(*), count(loan_id), count(reason)
    from raw.messages
    left join raw.bank_loans on _file = file and _line = line
    left join raw.rejected_lines using (source, entity, file, line)
    group by all
"""


@pytest.fixture(params=["mock", "tansu"])
def kafka(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Servers]:
    with mock_servers() if request.param == "mock" else tansu(tmp_path / "tansu.log") as servers:
        yield servers


@pytest.mark.extended
def test_killed_rebalanced_and_replayed_each_message_counts_once(
    kafka: Servers,
    home: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = int(os.environ.get("LOANLAKE_TEST_SEED", time.time_ns() % 1_000_000))
    chance, lenders = random.Random(seed), tmp_path / "lenders"
    n_partitions = kafka.create("loans")
    lenders.mkdir()
    monkeypatch.setattr(rules, "DIRECTORY", lenders)
    (lenders / "bank.yml").write_text(
        f"connections:\n  core: {{kind: kafka, brokers: ['{kafka.address}']}}\nstreams:\n"
        "  loans: {connection: core, topic: loans, required: [loan_id], batch_messages: 50, batch_seconds: 0.3}\n"
    )

    def child(does: str) -> "subprocess.Popen[bytes]":
        log = (tmp_path / f"{does}.log").open("ab")
        command = [sys.executable, "-c", CHILD, str(lenders), str(chance.random()), does]
        environment = {**os.environ, "LOANLAKE_HOME": str(home.home)}
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=REPOSITORY, env=environment)

    with sending(kafka, n_partitions) as sent:
        codes = [child("drain").wait(120) for _ in range(KILLS)]
        first, second = child("first"), child("second")
        wait_for_loads(home, 3)
        first.kill()  # its partitions go to the second once Kafka misses it
        third = child("third")
        wait_for_loads(home, 3)
        for process in (second, third):
            process.kill()
            process.wait()
        first.wait()
    if kafka.misses_the_killed:
        forget_offsets(kafka, n_partitions)
    results: list[object] = []
    drain(declared_streams(home, "bank"), print, results.append)
    n_last = len(results)
    drain(declared_streams(home, "bank"), print, results.append)

    with connect(home) as con:
        found = con.execute(IN_THE_LAKE).fetchall()
        (n_ids,) = con.execute("select count(distinct loan_id) from raw.bank_loans").fetchone() or (0,)
    refused = (tmp_path / "second.log").read_text() + (tmp_path / "third.log").read_text()
    with capsys.disabled():
        print(
            f"\nLOANLAKE_TEST_SEED={seed}: {KILLS} kills around the commit and 3 of consumers in a group, "
            f"{len(sent):,} messages, {refused.count('another loaded'):,} batches refused"
        )
    assert codes == [-signal.SIGKILL] * KILLS
    assert len(results) == n_last
    assert {(partition, offset) for partition, offset, *_ in found} == sent.keys()
    assert {(n, bool(n_rows), bool(n_reasons)) for _, _, n, n_rows, n_reasons in found} == {
        (1, True, False),
        (1, False, True),
    }
    assert sum(n_reasons for *_, n_reasons in found) == sum(not is_row for is_row in sent.values())
    assert n_ids == sum(sent.values())


@contextmanager
def sending(kafka: Servers, n_partitions: int) -> Iterator[dict[tuple[int, int], bool]]:
    """Send until the end; yields what Kafka acknowledged: partition and offset, and whether it can be a row."""
    sent: dict[tuple[int, int], bool] = {}
    is_over = threading.Event()

    def send() -> None:
        for number in itertools.count():
            if is_over.is_set():
                break
            is_row = number % 7 != 0
            value = json.dumps({"loan_id": number}) if is_row else "no object"

            def keep(error: object, message: object, is_row: bool = is_row) -> None:
                assert error is None, error
                sent[message.partition(), message.offset()] = is_row  # type: ignore[attr-defined]  # typed as object

            kafka.producer.produce("loans", value, partition=number % n_partitions, on_delivery=keep)
            kafka.producer.poll(0.005)
        assert kafka.producer.flush(30) == 0

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        is_over.set()
        thread.join()


def wait_for_loads(home: Settings, n_more: int) -> None:
    def n_files() -> int:
        with connect(home) as con:
            return int((con.execute("select count(*) from raw.files").fetchone() or (0,))[0])

    deadline, before = time.monotonic() + 120, n_files()
    while n_files() < before + n_more:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def forget_offsets(kafka: Servers, n_partitions: int) -> None:
    """As a person who has the group's offsets begin again: what Kafka keeps for the group is not read."""
    group = Consumer({"bootstrap.servers": kafka.address, "group.id": "loanlake-bank-loans", "log_level": 0})
    assigned: list[TopicPartition] = []
    group.subscribe(["loans"], on_assign=lambda _, partitions: assigned.extend(partitions))
    deadline = time.monotonic() + 60
    while len(assigned) < n_partitions:  # once Kafka misses the killed members
        group.poll(0.1)
        assert time.monotonic() < deadline
    begin = [TopicPartition("loans", partition, 0) for partition in range(n_partitions)]
    group.commit(offsets=begin, asynchronous=False)
    assert {each.offset for each in group.committed(begin, timeout=10)} == {0}
    group.close()
