"""Messages of a real Kafka client's mock cluster into raw rows: each once, whatever is killed or read twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kafka_servers import Servers
from tests.unit.warehouse.sources.conftest import Rows
from tests.unit.warehouse.sources.streaming.conftest import Declare
from warehouse.errors import LakeBusyError, StreamError
from warehouse.lenders import rules
from warehouse.settings import REPOSITORY, Settings
from warehouse.sources import ingest_files
from warehouse.sources.streaming import stream as streaming
from warehouse.sources.streaming.stream import Stream, opened
from warehouse.sources.streaming.streams import declared_streams, drain

EACH_ONCE = """
    select count(*), count(distinct (topic_partition, topic_offset)) from raw.messages
    left join raw.bank_loans on _file = file and _line = line
    left join raw.rejected_lines using (source, entity, file, line)
    where (loan_id is null) <> (reason is null)
"""
KILLED = """
import os, signal
from pathlib import Path
from warehouse.lenders import rules
from warehouse.settings import Settings
from warehouse.sources import landing
from warehouse.sources.streaming import streams
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
rules.DIRECTORY = Path({directory!r})
landing.LandedFile.require_unchanged = kill
streams.drain(streams.declared_streams(Settings.from_environment(), "bank"), print, print)
"""


def read_all(home: Settings) -> int:
    results = []
    drain(declared_streams(home, "bank"), print, results.append)
    return sum(result.n_rows for result in results)


def loans(first: int, last: int) -> list[dict[str, object]]:
    return [{"loan_id": number, "amount": 0.1} for number in range(first, last)]


def until(stream: Stream, what: str = "is_drained") -> None:
    deadline = time.monotonic() + 30
    while not getattr(stream, what):
        stream.step(0.1, until_end=True)
        assert time.monotonic() < deadline


def test_rows_and_offsets_are_one_transaction(kafka: Servers, home: Settings, declare: Declare, rows: Rows) -> None:
    """Good rows beside bad ones, and each message with its place, whichever became of it."""
    kafka.create("mixed")
    declare("mixed")
    kafka.send("mixed", [*loans(0, 3), b"no", None], partition=0)
    kafka.send("mixed", [{"loan_id": 3, "purpose": "car"}], partition=1)

    read_all(home)
    again = read_all(home)
    kafka.send("mixed", [b"\xff"], partition=1)
    read_all(home)

    assert again == 0
    assert rows("select loan_id, amount, purpose from raw.bank_loans order by loan_id") == [
        ("0", "0.1", None), ("1", "0.1", None), ("2", "0.1", None), ("3", None, "car")
    ]  # fmt: skip
    assert rows(
        "select topic_partition, topic_offset, left(reason, 8) from raw.messages "
        "join raw.rejected_lines using (source, entity, file, line) order by all"
    ) == [(0, 3, "not one "), (0, 4, "a messag"), (1, 1, "not UTF-")]
    assert rows("select pulled_from, cursor_column, cursor_from, cursor_to, n_rows from raw.files order by file") == [
        ("kafka core/mixed", "offset", '{"0": 0, "1": 0}', '{"0": 5, "1": 1}', 4),
        ("kafka core/mixed", "offset", '{"1": 1}', '{"0": 5, "1": 2}', 0),
    ]
    assert rows(EACH_ONCE) == [(7, 7)]


def test_a_process_killed_before_the_commit_loses_and_doubles_nothing(
    kafka: Servers, home: Settings, declare: Declare, rows: Rows
) -> None:
    kafka.create("killed")
    declare("killed")
    kafka.send("killed", [*loans(0, 10), b"no"])
    script = KILLED.format(directory=str(rules.DIRECTORY))
    environment = {**os.environ, "LOANLAKE_HOME": str(home.home)}
    killed = subprocess.run([sys.executable, "-c", script], check=False, env=environment, cwd=REPOSITORY, timeout=60)
    kafka.send("killed", loans(10, 20))

    read_all(home)

    assert killed.returncode == -signal.SIGKILL
    assert rows(EACH_ONCE) == [(21, 21)]
    assert rows("select count(distinct loan_id) from raw.bank_loans") == [(20,)]
    assert len(list((home.landing / "bank" / "loans").iterdir())) == rows("select count(*) from raw.files")[0][0]


def test_of_two_that_read_the_same_messages_one_is_refused(
    kafka: Servers, home: Settings, declare: Declare, rows: Rows
) -> None:
    """As on two machines, each of which has a home's lock of its own. The refused one goes on after the other."""
    kafka.create("twice")
    declare("twice")
    kafka.send("twice", loans(0, 5))
    (declared,) = declared_streams(home, "bank")
    said: list[str] = []
    with opened(declared, said.append, shares=False) as slow:
        while len(slow._batch) < 5:
            slow.step(0.1)
        other = Stream(declared, print, shares=False)
        until(other)
        other.close()
        kafka.send("twice", loans(5, 7))

        until(slow)

    assert "another loaded messages of the partitions 0 meanwhile" in said[0]
    assert rows(EACH_ONCE) == [(7, 7)]


def test_one_process_of_a_home_reads_a_stream(kafka: Servers, home: Settings, declare: Declare) -> None:
    kafka.create("locked")
    declare("locked")
    (declared,) = declared_streams(home, "bank")
    read_all(home)

    with opened(declared, print, shares=False), pytest.raises(LakeBusyError, match="one process of a home reads"):
        read_all(home)


def test_messages_that_are_gone_stop_the_stream(kafka: Servers, home: Settings, declare: Declare, rows: Rows) -> None:
    """A topic that was created again would otherwise be left out up to the old offset; `reading` begins it again."""
    for topic, n_loans in (("old", 9), ("anew", 2)):
        kafka.create(topic)
        kafka.send(topic, loans(0, n_loans))
    declare("old")
    read_all(home)
    with streaming.lake.writer("tests", home) as con:  # the topic of that name was another one
        con.execute("update raw.files set pulled_from = 'kafka core/anew'")
    declare("anew")

    with pytest.raises(StreamError, match=r"must go on at offset 9.*offsets 0 to 2.*created again.*raise `reading`"):
        read_all(home)
    declare("anew", reading=2)
    read_all(home)

    assert rows("select pulled_from, n_rows from raw.files order by all") == [
        ("kafka core/anew", 9),
        ("kafka core/anew, reading 2", 2),
    ]


def test_only_a_stream_loads_messages(kafka: Servers, home: Settings, declare: Declare, tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_text(
        json.dumps({"messages_of": "kafka core/loans", "columns": []}).replace(": ", ":")
        + '\n{"partition":0,"offset":0,"value":{"loan_id":1}}\n'
    )

    with pytest.raises(Exception, match="which only `loanlake stream` can load"):
        ingest_files("bank", [path], home, "loans")
