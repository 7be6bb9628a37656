"""Several streams in one process: one that fails stops no other, and each says how far it is."""

import time
from pathlib import Path

import pytest

from tests.kafka_servers import Servers
from tests.unit.warehouse.sources.conftest import Rows
from tests.unit.warehouse.sources.streaming.conftest import Declare
from warehouse.errors import SettingError, StreamError
from warehouse.lenders import rules
from warehouse.settings import Settings
from warehouse.sources.streaming import streams
from warehouse.sources.streaming.lag import known_lags
from warehouse.sources.streaming.streams import declared_streams, drain, follow


def test_a_stream_that_cannot_go_on_stops_no_other(
    kafka: Servers, home: Settings, declare: Declare, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka.create("good")
    declare("good", batch_seconds=0.1)
    file = rules.DIRECTORY / "bank.yml"
    file.write_text(file.read_text() + "  cards: {connection: nowhere, topic: cards}\n")
    file.write_text(
        file.read_text().replace("streams:", "  nowhere: {kind: kafka, brokers: ['127.0.0.1:1']}\nstreams:")
    )
    kafka.send("good", [{"loan_id": 1}])
    monkeypatch.setattr(streams, "_SECONDS_BETWEEN_LAGS", 0.2)
    loaded: list[object] = []
    deadline = time.monotonic() + 60

    def is_over() -> bool:
        assert time.monotonic() < deadline
        found = {lag.entity: lag for lag in known_lags(home)}
        return bool(loaded) and found["loans"].loaded == 1 and bool(found["cards"].problem)

    follow(declared_streams(home, "bank"), print, loaded.append, is_over=is_over, unserved_seconds=lambda: 3.0)

    assert rows("select loan_id from raw.bank_loans") == [("1",)]
    assert {(lag.entity, lag.messages, lag.unserved_seconds) for lag in known_lags(home)} == {
        ("loans", 0, 3.0),
        ("cards", 0, 3.0),
    }


def test_a_topic_that_is_not_there_is_named(home: Settings, declare: Declare) -> None:
    declare("good")
    file = rules.DIRECTORY / "bank.yml"
    file.write_text(file.read_text().replace("kind: kafka", "kind: kafka, timeout_seconds: 1"))
    Path(file).write_text(file.read_text().replace("brokers: ['127.0.0.1:", "brokers: ['127.0.0.2:"))

    with pytest.raises(StreamError, match="bank loans: kafka core/good must answer"):
        drain(declared_streams(home, "bank"), print, print)


def test_an_undeclared_stream_is_refused_with_the_nearest(home: Settings, declare: Declare) -> None:
    declare("good")

    with pytest.raises(SettingError, match=r"found loan, did you mean loans\? among loans"):
        declared_streams(home, "bank", "loan")
