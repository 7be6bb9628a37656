"""confluent-kafka, imported only where a topic is read or written, with the settings of a declared connection."""

import logging
from collections.abc import Mapping
from typing import Any

from warehouse.errors import SettingError
from warehouse.lenders.connections import ConnectionSettings
from warehouse.sources.pulling.engine import secret_of

log = logging.getLogger("loanlake.kafka")


def require_client() -> None:
    """Raise SettingError unless the extra is installed."""
    try:
        import confluent_kafka  # noqa: F401  # only whether it is installed
    except ImportError as error:
        raise SettingError(
            f"Kafka is read with confluent-kafka, which is not installed ({error}): pip install 'loanlake[kafka]'"
        ) from None


def client_settings(name: str, connection: ConnectionSettings) -> dict[str, Any]:
    """What every client of the connection is given; raises SettingError for a missing secret."""
    found: dict[str, Any] = {
        "bootstrap.servers": ",".join(connection.brokers),
        "client.id": "loanlake",
        "socket.timeout.ms": connection.timeout_seconds * 1000,
        # the client would try a server that is down, and say so, 20 times a second
        "reconnect.backoff.ms": 1_000,
        "logger": log,
    }
    secret = secret_of(name, connection)
    if secret is not None:
        found |= {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": connection.user,
            "sasl.password": secret,
        }
    return found | dict(connection.options)


def consumer_settings(
    client: Mapping[str, Any], *, group: str, read_ahead_megabytes: int, longest_load_seconds: float
) -> dict[str, Any]:
    """Those of a consumer that the lake tells where to begin."""
    return {
        **client,
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # an offset that the server does not have is an error: messages would be left out, or read twice
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "partition.assignment.strategy": "range",
        # what is read ahead while a batch is loaded
        "queued.max.messages.kbytes": read_ahead_megabytes * 1024,
        "max.poll.interval.ms": int(min(86_400, longest_load_seconds + 300) * 1000),
        "session.timeout.ms": 10_000,
    }
