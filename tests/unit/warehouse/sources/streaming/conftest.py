"""A lender whose file declares a stream of librdkafka's own mock cluster."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kafka_servers import Servers, mock_servers
from warehouse.lenders import rules

Declare = Callable[..., None]


@pytest.fixture(scope="module")
def kafka() -> Iterator[Servers]:
    with mock_servers() as servers:
        yield servers


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kafka: Servers) -> Declare:
    """Write the file of the lender `bank`, whose loans are a topic."""
    folder = tmp_path / "lenders"
    folder.mkdir()
    monkeypatch.setattr(rules, "DIRECTORY", folder)

    def write(topic: str, **keys: object) -> None:
        stream = {"connection": "core", "topic": topic, "required": "[loan_id]"} | keys
        (folder / "bank.yml").write_text(
            f"connections:\n  core: {{kind: kafka, brokers: ['{kafka.address}']}}\n"
            f"streams:\n  loans: {{{', '.join(f'{key}: {value}' for key, value in stream.items())}}}\n"
        )

    return write
