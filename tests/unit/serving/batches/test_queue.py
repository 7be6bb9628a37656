"""Batches over HTTP: taken durably and once, asked after by their caller alone, and no more than there is room for."""

import sqlite3
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from litestar.testing import TestClient

from ml.batches.runs import run_batch
from orchestration.defs.maintenance.upkeep import maintain_home
from serving.access.caller import Caller
from serving.access.keys import KeyStore
from serving.app import create_app
from serving.http.clock import utc_now
from serving.options import ServingOptions
from tests.serving_home import APPLICATION, RISKY, ServingHome
from tests.unit.serving.batches.conftest import BAD, CSV, JSON, Client, key_of, results_of, run_of, send_rows
from warehouse import decision_log
from warehouse.batches import Batch, BatchStates
from warehouse.lake.connection import connect


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        ('{"applications": []}', JSON, 400),
        ('{"applications": [{}, {}, {}, {}, {}, {}, {}]}', JSON, 400),
        ('{"applications": 1}', JSON, 400),
        ('{"table": "features.x", "rows": "loans"}', JSON, 400),
        ('{"table": "features.x", "applications": []}', JSON, 400),
        ("[]", JSON, 400),
        ("", JSON, 400),
        ("", CSV, 400),
        ("a,a\n1,2\n", CSV, 400),
        ("a,b\n", CSV, 400),
        ('a,b\n"1,2\n', CSV, 400),
        ("a\n1\n2\n3\n4\n5\n6\n7\n", CSV, 400),
        ("{}", {"Content-Type": "text/plain"}, 415),
        (" " * 20_001, JSON, 413),
    ],
)
def test_a_body_that_is_no_batch_is_refused(
    batch_client: Client, content: str, headers: dict[str, str], status: int
) -> None:
    refused = batch_client.post("/v1/batches", content=content, headers=headers)

    assert refused.status_code == status
    assert refused.headers["Content-Type"] == "application/problem+json"


def test_a_batch_is_seen_by_its_caller_and_by_admin(batch_client: Client, own_home: ServingHome) -> None:
    location = send_rows(batch_client, APPLICATION).headers["Location"]
    other = key_of(own_home.settings, "batch")

    assert batch_client.get(location, headers=key_of(own_home.settings, "admin")).status_code == 200
    assert batch_client.get(location, headers=key_of(own_home.settings, "score")).status_code == 403
    asked = [
        batch_client.get(location, headers=other),
        batch_client.get(f"{location}/results", headers=other),
        batch_client.post(f"{location}/cancel", headers=other),
        batch_client.post(f"{location}/retry", headers=other),
        batch_client.get("/v1/batches/no-such-batch"),
        batch_client.get("/v1/batches/..%2F..%2Fkeys.sqlite"),
    ]
    assert [answer.status_code for answer in asked] == [404] * 6


def test_the_same_key_is_the_same_batch(batch_client: Client) -> None:
    key = {"Idempotency-Key": "monday"}

    first, again = send_rows(batch_client, APPLICATION, **key), send_rows(batch_client, APPLICATION, **key)
    other = send_rows(batch_client, RISKY, **key)

    assert first.status_code == again.status_code == 202
    assert first.json()["batch_id"] == again.json()["batch_id"]
    assert other.status_code == 422
    assert other.json()["type"] == "urn:loanlake:problem:idempotency-key-reused"


def test_of_one_request_sent_twice_at_once_one_batch_is_taken(
    batch_client: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"Idempotency-Key": "monday"}
    first = send_rows(batch_client, APPLICATION, **key)
    monkeypatch.setattr(BatchStates, "find_by_key", lambda *_: None)  # the second looked before the first was there

    second = send_rows(batch_client, APPLICATION, **key)

    assert second.json()["batch_id"] == first.json()["batch_id"]
    assert [path.name for path in own_home.settings.batches.iterdir()] == [first.json()["batch_id"]]


def test_a_batch_that_could_not_be_kept_leaves_no_rows(
    batch_client: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Batch:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(BatchStates, "add", fail)

    assert send_rows(batch_client, APPLICATION).status_code == 503
    assert list(own_home.settings.batches.iterdir()) == []


def test_a_key_whose_batch_was_forgotten_is_a_new_key(batch_client: Client, own_home: ServingHome) -> None:
    """Under the old batch's id its scores would replace the old ones, and its decisions never reach the lake."""
    settings, key = own_home.settings, {"Idempotency-Key": "monday"}
    first = send_rows(batch_client, APPLICATION, **key).json()["batch_id"]
    run_of(own_home, first)
    decision_log.ingest_into_lake(settings)

    maintain_home(settings, retention_days=0, grace_hours=0)
    assert send_rows(batch_client, APPLICATION, **key).json()["batch_id"] == first

    BatchStates(settings).remove_ended_before(utc_now())
    decision_log.prune(settings, older_than=timedelta(0))
    second = send_rows(batch_client, RISKY, **key).json()["batch_id"]
    run_of(own_home, second)
    decision_log.ingest_into_lake(settings)

    assert second != first
    with connect(settings) as con:
        scored = con.execute(
            "select batch_id, probability from serving.batch_scores "
            "join serving.predictions using (decision_id, application_id, probability) order by scored_at"
        ).fetchall()
    assert [batch_id for batch_id, _ in scored] == [first, second]


def test_a_refused_row_says_whose_it_was_as_far_as_it_can_be_read(batch_client: Client, own_home: ServingHome) -> None:
    """Who is erased later is found by it, when what was sent has long been removed."""
    ids: list[Any] = ["b-1", 4711, 10**30, True, None, ["b-1"]]
    batch_id = send_rows(batch_client, *(BAD | {"application_id": each, "borrower_id": each} for each in ids)).json()
    run_of(own_home, batch_id["batch_id"])

    rows = results_of(batch_client, batch_id["batch_id"])

    expected = ["b-1", "4711", None, None, None, None]
    assert [row["borrower_id"] for row in rows] == [row["application_id"] for row in rows] == expected


def test_a_cancelled_batch_can_be_tried_again(batch_client: Client, own_home: ServingHome) -> None:
    location = send_rows(batch_client, APPLICATION).headers["Location"]
    batch_id = location.rpartition("/")[2]

    cancelled = batch_client.post(f"{location}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert run_batch(own_home.settings, batch_id, run_id="late") is None
    queued = batch_client.post(f"{location}/retry")
    assert (queued.status_code, queued.json()["state"], queued.json()["attempt"]) == (202, "queued", 2)
    assert batch_client.post(f"{location}/retry").status_code == 409

    run_of(own_home, batch_id)

    assert len(results_of(batch_client, batch_id)) == 1
    assert batch_client.post(f"{location}/cancel").status_code == 409
    assert batch_client.post(f"{location}/retry").status_code == 409


def test_no_more_batches_wait_than_the_server_allows(batch_client: Client, own_home: ServingHome) -> None:
    for _ in range(3):
        assert send_rows(batch_client, APPLICATION).status_code == 202

    refused = send_rows(batch_client, APPLICATION)

    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert BatchStates(own_home.settings).count() == 3


def test_no_more_bodies_are_received_at_once_than_memory_is_meant_for(batch_client: Client) -> None:
    """Each of the requests that a worker lets be under way could hold a body of 16 MB."""
    batches = batch_client.app.dependencies["batches"].dependency()
    with ExitStack() as bodies:
        for number in range(8):
            bodies.enter_context(batches.place_for_a_body(_caller(f"caller {number}")))
        refused = send_rows(batch_client, APPLICATION)

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert "8 batches are being received" in refused.json()["detail"]
    assert [send_rows(batch_client, number).status_code for number in range(3)] == [202] * 3


def test_bodies_that_one_caller_sends_slowly_keep_no_other_out(batch_client: Client, own_home: ServingHome) -> None:
    batches = batch_client.app.dependencies["batches"].dependency()
    slow = KeyStore(own_home.settings.keys).create("slow", ["batch"])
    slow_caller = _caller(slow.split("_")[1])
    with ExitStack() as bodies:
        for _ in range(2):
            bodies.enter_context(batches.place_for_a_body(slow_caller))
        refused = send_rows(batch_client, APPLICATION, Authorization=f"Bearer {slow}")
        other = send_rows(batch_client, APPLICATION)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert other.status_code == 202
    assert send_rows(batch_client, APPLICATION, Authorization=f"Bearer {slow}").status_code == 202


def test_the_queue_has_room_for_others_beside_a_caller_who_fills_their_part(own_home: ServingHome) -> None:
    options = ServingOptions(queued_batches=10, queued_batches_of_caller=2)
    first, second = (key_of(own_home.settings, "batch") for _ in range(2))
    with TestClient(create_app(own_home.settings, options), raise_server_exceptions=False) as client:
        statuses = [send_rows(client, APPLICATION, **first).status_code for _ in range(3)]
        other = send_rows(client, APPLICATION, **second)
        refused = send_rows(client, APPLICATION, **first)

    assert statuses == [202, 202, 429]
    assert other.status_code == 202
    assert "LOANLAKE_QUEUED_BATCHES_OF_CALLER" in refused.json()["detail"]
    assert refused.headers["Retry-After"] == "60"


def _caller(caller_id: str) -> Caller:
    return Caller(caller_id, frozenset({"batch"}), f"key {caller_id}", caller_id)


def test_a_batch_that_finds_the_lake_busy_waits_for_it_and_has_decided_nothing_yet(
    batch_client: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended as failed, with 0 rows scored, while its decisions stood in serving.predictions."""
    batch_id = send_rows(batch_client, APPLICATION, RISKY).json()["batch_id"]
    with monkeypatch.context() as patch:
        patch.setattr("ml.batches.runs.writer", _no_turn)
        waiting = run_of(own_home, batch_id)
    assert (waiting.state, waiting.attempt, waiting.n_postponed) == ("queued", 2, 1)
    assert waiting.reason == "held by another"
    assert decision_log.count_pending(own_home.settings) == 0

    done = run_of(own_home, batch_id)

    assert (done.state, done.n_scored) == ("succeeded", 2)
    assert decision_log.ingest_into_lake(own_home.settings).n_decisions == 2
    assert len(results_of(batch_client, batch_id)) == 2


def _no_turn(*_: object) -> Any:
    from warehouse.errors import LakeBusyError

    raise LakeBusyError("held by another")
