"""OpenLineage events of a real Dagster run, as a receiver on this machine gets them; and a receiver that is down."""

import gzip
import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from orchestration.lib.dbt_project import FAILED_TABLES
from orchestration.lineage import graph, sending
from orchestration.lineage.sending import Sender, lake_namespace
from orchestration.running.instance import prepare_dagster_home
from warehouse.lake.connection import writer
from warehouse.settings import Settings


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What a receiver gets, whose URL is set; the process's sender is a new one."""
    found: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.append(json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}")
        sending.sender.cache_clear()
        yield found
        sending.sender.cache_clear()
        server.shutdown()


@dg.asset(key=["raw", "loans"])
def loans() -> None: ...


@dg.multi_asset(
    specs=[
        dg.AssetSpec(["core", "int_loans"], deps=[["raw", "loans"]]),
        dg.AssetSpec(["model", "candidate"], deps=[["core", "int_loans"]]),
    ]
)
def build() -> Iterator[dg.MaterializeResult[None]]:
    yield dg.MaterializeResult(asset_key=["core", "int_loans"], metadata={"dagster/row_count": 3})
    yield dg.MaterializeResult(asset_key=["model", "candidate"])


@dg.asset(deps=[["model", "candidate"]])
def broken() -> None:
    raise ValueError("Jane Doe earns 48,000")


@dg.multi_asset(
    specs=[dg.AssetSpec(["features", "ftr_loans"], deps=[["raw", "loans"]]), dg.AssetSpec(["features", "ftr_never"])]
)
def half_built() -> Iterator[dg.MaterializeResult[None]]:
    # as a dbt step says it
    raise dg.Failure("Jane Doe", metadata={FAILED_TABLES: dg.MetadataValue.json({"features.ftr_loans": 2.5})})
    yield


def run(home: Settings, monkeypatch: pytest.MonkeyPatch) -> dg.ExecuteInProcessResult:
    monkeypatch.setenv("DAGSTER_HOME", str(prepare_dagster_home(home)))
    with writer("test", home) as con:
        con.execute("create schema if not exists core; create table core.int_loans (loan_id varchar, amount double)")
    definitions = dg.Definitions(assets=[loans, build, broken, half_built], jobs=[dg.define_asset_job("nightly")])
    monkeypatch.setattr(graph, "_remembered", graph.StepGraph.of(definitions))
    with dg.DagsterInstance.get() as instance:
        return definitions.resolve_job_def("nightly").execute_in_process(instance=instance, raise_on_error=False)


def test_each_step_and_table_has_a_start_and_an_end(
    home: Settings, received: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(home, monkeypatch)

    everything = [(event["job"]["name"], event["eventType"]) for event in received]
    told = [each for each in everything if not each[0].startswith("nightly.half_built")]
    assert told == [
        ("nightly", "START"),
        ("nightly.raw__loans", "START"),
        ("nightly.raw__loans", "COMPLETE"),
        ("nightly.build", "START"),
        ("nightly.build.core.int_loans", "START"),
        ("nightly.build.core.int_loans", "COMPLETE"),
        ("nightly.build.model.candidate", "START"),
        ("nightly.build.model.candidate", "COMPLETE"),
        ("nightly.build", "COMPLETE"),
        ("nightly.broken", "START"),
        ("nightly.broken", "FAIL"),
        ("nightly", "FAIL"),
    ]
    assert received[0]["run"]["runId"] == result.run_id
    by_name = dict(zip(everything, received, strict=True))
    table = by_name["nightly.build.core.int_loans", "COMPLETE"]
    [output] = table["outputs"]
    assert (output["namespace"], output["name"]) == (lake_namespace(home), "lake.core.int_loans")
    assert [(each["name"], each["type"]) for each in output["facets"]["schema"]["fields"]] == [
        ("loan_id", "VARCHAR"),
        ("amount", "DOUBLE"),
    ]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 3
    assert [each["name"] for each in table["inputs"]] == ["raw.loans"]
    assert table["run"]["facets"]["parent"]["job"]["name"] == "nightly.build"
    [model] = by_name["nightly.build.model.candidate", "COMPLETE"]["inputs"]
    assert model["name"] == "lake.core.int_loans"


def test_a_table_that_failed_in_a_step_of_several_has_a_failure_of_its_own(
    home: Settings, received: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(home, monkeypatch)

    of_step = [event for event in received if event["job"]["name"].startswith("nightly.half_built")]
    step, started, failed, ended = of_step
    assert [(event["job"]["name"], event["eventType"]) for event in (started, failed)] == [
        ("nightly.half_built.features.ftr_loans", "START"),
        ("nightly.half_built.features.ftr_loans", "FAIL"),
    ]
    took = datetime.fromisoformat(failed["eventTime"]) - datetime.fromisoformat(started["eventTime"])
    assert took.total_seconds() == pytest.approx(2.5, abs=0.001)
    assert failed["run"]["facets"]["errorMessage"]["message"] == "dbt: see the run in Dagster"
    assert failed["run"]["facets"]["parent"]["run"]["runId"] == step["run"]["runId"]
    assert [each["name"] for each in failed["inputs"]] == ["raw.loans"]
    assert ended["eventType"] == "FAIL"


def test_events_are_valid_and_quote_no_error_message(
    home: Settings, received: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The required members of OpenLineage's RunEvent, of every run, job, dataset and facet."""
    run(home, monkeypatch)

    assert received
    for event in received:
        assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
        assert uuid.UUID(event["run"]["runId"])
        assert event["producer"].startswith("https://")
        assert event["schemaURL"].startswith("https://openlineage.io/spec/2-0-")
        datasets = [*event["inputs"], *event["outputs"]]
        assert all(each["namespace"] and each["name"] for each in (event["job"], *datasets))
        facets = [facet for each in (event["run"], *datasets) for facet in each["facets"].values()]
        assert all(facet["_producer"] and facet["_schemaURL"].startswith("https://openlineage.io/") for facet in facets)
    assert "Jane Doe" not in json.dumps(received)
    failed = [event for event in received if event["job"]["name"] == "nightly.broken" and event["eventType"] == "FAIL"]
    assert failed[0]["run"]["facets"]["errorMessage"]["message"] == "ValueError: see the run in Dagster"


def test_without_a_url_nothing_is_sent_nor_a_sender_made(
    home: Settings, received: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENLINEAGE_URL")

    run(home, monkeypatch)

    assert received == []
    assert sending.sender.cache_info().currsize == 0


class _Ended:
    event_type_value = "PIPELINE_SUCCESS"


class _Began:
    event_type_value = "STEP_START"


def test_a_receiver_that_is_down_costs_no_time_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    def refused(_: object) -> None:
        raise ConnectionError("connection refused")

    sender = Sender(lambda *told: [told], refused, rest_seconds=0.01)
    with caplog.at_level(logging.WARNING):
        for _ in range(9):
            sender.tell("r", _Began(), time.time())
        sender.tell("r", _Ended(), time.time())

    [warning] = caplog.records
    assert warning.getMessage().startswith("run r: 10 OpenLineage events were not delivered to ")
    assert warning.getMessage().endswith(", 0 were: ConnectionError: connection refused")


def test_the_receivers_password_is_in_no_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither by the variable, nor by an error that quotes the address."""
    url = "https://loanlake:hunter2@lineage.bank"
    monkeypatch.setenv("OPENLINEAGE_URL", url)

    def refused(_: object) -> None:
        raise ConnectionError(f"503 Server Error for url: {url}/api/v1/lineage")

    sender = Sender(lambda *told: [told], refused, rest_seconds=0.01)
    with caplog.at_level(logging.WARNING):
        sender.tell("r", _Ended(), time.time())

    assert "hunter2" not in caplog.text
    assert caplog.text.count("https://loanlake:***@lineage.bank") == 2


def test_a_receiver_that_hangs_is_left_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    answered = threading.Event()
    sender = Sender(lambda *told: [told], lambda _: answered.wait(60), seconds_without_delivery=0.1)

    with caplog.at_level(logging.WARNING):
        sender.tell("r", _Began(), time.time())
        sender.tell("r", _Ended(), time.time())

    answered.set()
    assert "2 OpenLineage events were not delivered" in caplog.text


def test_what_could_not_be_delivered_is_tried_again_in_order(caplog: pytest.LogCaptureFixture) -> None:
    delivered: list[Any] = []
    failures = {"b": [ConnectionError("reset"), TimeoutError("slow")], "d": [ConnectionError("reset")]}

    def emit(event: Any) -> None:
        if failures.get(event[0]):
            raise failures[event[0]].pop()
        delivered.append(event[0])

    sender = Sender(lambda *told: [told], emit, rest_seconds=0.001)
    with caplog.at_level(logging.WARNING):
        for name in "abcd":
            sender.tell(name, _Began(), time.time())
        sender.tell("e", _Ended(), time.time())

    assert delivered == list("abcde")
    assert failures == {"b": [], "d": []}
    assert caplog.records == []


def test_an_event_that_is_refused_or_cannot_be_made_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    delivered: list[Any] = []

    class Refused(Exception):
        response = SimpleNamespace(status_code=422)

    def translate(*told: Any) -> list[Any]:
        if told[0] == "b":
            raise KeyError("no such asset")
        return [told]

    def emit(event: Any) -> None:
        if event[0] == "c":
            raise Refused("422 Unprocessable Content")
        delivered.append(event[0])

    sender = Sender(translate, emit)
    with caplog.at_level(logging.WARNING):
        for name in "abcd":
            sender.tell(name, _Began(), time.time())
        sender.tell("e", _Ended(), time.time())

    assert delivered == list("ade")
    assert "2 OpenLineage events were not delivered" in caplog.text
    assert caplog.text.rstrip().endswith("3 were: Refused: 422 Unprocessable Content")


def test_the_servers_password_is_in_no_name(home: Settings) -> None:
    team = replace(home, catalog="host=db.bank port=5433 dbname=lake user=u password=hunter2")

    assert lake_namespace(team) == "ducklake://db.bank:5433/lake"
