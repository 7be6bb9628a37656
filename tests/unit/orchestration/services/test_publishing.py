"""Decisions in a topic: each once where nothing fails, in order, and waiting where the topic does not take them."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition

from orchestration.services.publishing import Publishing, declared_publications, publish_all
from orchestration.stream_command import stream
from tests.free_ports import free_port
from tests.kafka_servers import Servers, mock_servers
from tests.unit.warehouse.decision_log.test_outbox import decision, log
from warehouse.errors import LakeBusyError, SettingError, StreamError
from warehouse.files.turns import file_turn_if_free
from warehouse.lenders import rules
from warehouse.settings import Settings
from warehouse.sources.streaming.lag import known_lags

Declare = Callable[..., None]


@pytest.fixture(scope="module")
def kafka() -> Iterator[Servers]:
    with mock_servers() as servers:
        yield servers


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Write the file of the lender `simulated`, whose decisions go to a topic."""
    monkeypatch.setattr(rules, "DIRECTORY", tmp_path)

    def write(address: str, topic: str, *, seconds: int = 30) -> None:
        (tmp_path / "simulated.yml").write_text(
            f"connections: {{core: {{kind: kafka, brokers: ['{address}'], timeout_seconds: {seconds}}}}}\n"
            f"decisions_to: {{connection: core, topic: {topic}}}\n"
        )

    return write


def messages(kafka: Servers, topic: str) -> list[tuple[str, dict[str, object]]]:
    """Key and value of each message that the topic has."""
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": "reader", "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found, n_ended = [], 0
    while n_ended < len(partitions):
        message = consumer.poll(10)
        assert message is not None
        if message.error():
            n_ended += 1
        else:
            found.append((message.key().decode(), json.loads(message.value())))
    consumer.close()
    return found


def test_a_decision_becomes_one_message_keyed_by_its_application(
    kafka: Servers, home: Settings, declare: Declare
) -> None:
    kafka.create("once")
    declare(kafka.address, "once")
    other = msgspec.structs.replace(decision(2), source="other")
    log(home, [decision(1), other])

    publish_all(declared_publications(home), print)
    log(home, [decision(3)])
    done = [CliRunner().invoke(stream, ["simulated", "--once"], catch_exceptions=False) for _ in range(2)]

    assert [each.output for each in done] == [
        f"decisions of simulated: {n} published to kafka core/once\n" for n in (1, 0)
    ]
    found = messages(kafka, "once")
    assert [(key, value["decision_id"]) for key, value in found] == [("sim-1", "d-1"), ("sim-1", "d-3")]
    assert found[0][1] == {
        "decision_id": "d-1",
        "application_id": "sim-1",
        "borrower_id": None,
        "lender": "simulated",
        "route": "online",
        "decided_at": "2026-03-01T12:30:00.000250Z",
        "probability": 0.30000000000000004,
        "band": "C",
        "decision": "decline",
        "model": {"name": "default_risk_simulated", "version": 3, "feature_version": "v1"},
        "role": "champion",
        "history": None,
        "status": "scored",
    }


def test_decisions_wait_for_a_topic_that_does_not_answer(kafka: Servers, home: Settings, declare: Declare) -> None:
    declare(f"127.0.0.1:{free_port()}", "late", seconds=1)
    log(home, [decision(1)])
    with pytest.raises(
        StreamError, match=r"kafka core/late must acknowledge 1 messages: .*refused.* They are sent again"
    ):
        publish_all(declared_publications(home), print)

    said: list[str] = []
    thread = Publishing(declared_publications(home)[0], said.append)
    thread.start()
    _wait_until(lambda: bool(said) and bool(known_lags(home)))
    (lag,) = known_lags(home)
    thread.end()
    kafka.create("late")
    declare(kafka.address, "late")
    thread = Publishing(declared_publications(home)[0], said.append)
    thread.start()
    _wait_until(lambda: [key for key, _ in messages(kafka, "late")] == ["sim-1"])
    thread.end()

    assert (lag.entity, lag.messages, lag.problem) == ("decisions_to", 1, said[0])
    assert len(said) == 1


def test_one_process_of_a_home_publishes(kafka: Servers, home: Settings, declare: Declare) -> None:
    """Two would send each decision twice, and not in their order."""
    declare(kafka.address, "alone")
    lock = home.home / "locks" / "publish-simulated.lock"

    with (
        file_turn_if_free(lock),
        pytest.raises(LakeBusyError, match="one process publishes the decisions of simulated"),
    ):
        publish_all(declared_publications(home), print)


def test_a_team_s_decisions_are_not_published(home: Settings, declare: Declare) -> None:
    declare("127.0.0.1:1", "team")
    team = dataclasses.replace(home, catalog="postgresql://server/lake")

    with pytest.raises(SettingError, match=r"decisions_to must be absent for simulated in a team"):
        declared_publications(team)


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
