"""What a lender's file may say of Kafka topics."""

from pathlib import Path

import pytest
import yaml

from warehouse.errors import SettingError
from warehouse.lenders.rules import read_lender

CORE = {"kind": "kafka", "brokers": ["kafka.bank.example:9093"], "user": "loanlake", "secret_from": "env:KAFKA"}
LOANS = {"connection": "core", "topic": "lending.loans"}


def declared(folder: Path, **keys: object) -> Path:
    content = {"connections": {"core": CORE}, "streams": {"loans": LOANS}} | keys
    (folder / "bank.yml").write_text(yaml.safe_dump(content))
    return folder


def test_a_topic_is_named_by_its_connection_wherever_its_servers_are(tmp_path: Path) -> None:
    lender = read_lender("bank", declared(tmp_path))

    assert lender.streams["loans"].address == "kafka core/lending.loans"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"streams": {"loans": LOANS | {"connection": "cor"}}}, "must name one of the kind kafka, core: found 'cor'"),
        ({"streams": {"loans": LOANS | {"topic": "a b"}}}, "topic must be the name of a topic"),
        ({"streams": {"loans": LOANS | {"batch_messages": 0}}}, "batch_messages must be a whole number"),
        (
            {"decisions_to": LOANS | {"connection": "cor"}},
            r"decisions_to\.connection must name one of the kind kafka, core",
        ),
        (
            {"decisions_to": LOANS},
            r"streams\.loans must have a name and a topic of its own: found that of decisions_to",
        ),
        ({"streams": {"decisions_to": LOANS}}, r"streams\.decisions_to must have a name and a topic of its own"),
        ({"connections": {"core": CORE | {"brokers": []}}}, "brokers must be given"),
        ({"connections": {"core": CORE | {"brokers": ["kafka"]}}}, "brokers"),
        ({"connections": {"core": CORE | {"user": None}}}, "user and secret_from must be given together"),
        ({"connections": {"core": CORE | {"options": {"sasl.password": "x"}}}}, "must hold no secret"),
        (
            {"connections": {"core": CORE | {"options": {"security.protocol": "SASL_PLAINTEXT"}}}},
            "must be SASL_SSL if a secret is sent to another machine",
        ),
        ({"connections": {"core": CORE | {"database": "core"}}}, "database must not be given for the kind kafka"),
        (
            {"pulls": {"loans": {"connection": "core", "table": "loans", "row_key": ["loan_id"]}}},
            "must not read Kafka: declare its topic under `streams`",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_key(tmp_path: Path, keys: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read_lender("bank", declared(tmp_path, **keys))


def test_one_source_fills_a_table(tmp_path: Path) -> None:
    database = {"kind": "postgresql", "host": "db", "database": "core", "user": "reader"}
    pulls = {"loans": {"connection": "db", "table": "loans", "row_key": ["loan_id"]}}

    with pytest.raises(SettingError, match=r"streams\.loans must be the only source of its rows: found pulls\.loans"):
        read_lender("bank", declared(tmp_path, connections={"core": CORE, "db": database}, pulls=pulls))
