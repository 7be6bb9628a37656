"""Decisions by what they are about, and whose they are: lists with a cursor, over the outbox and the lake."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.batches.runs import run_batch
from serving.access.keys import KeyStore
from serving.app import create_app
from serving.options import ServingOptions
from tests.serving_home import APPLICATION, RISKY, ServingHome
from warehouse import decision_log
from warehouse.decision_log import ingest_into_lake
from warehouse.lake.connection import connect, writer

Client = TestClient[Litestar]
OUTCOME = {"application_id": "app-1", "is_default": True, "outcome_at": "2022-06-01T00:00:00Z"}


def _key(home: ServingHome, name: str, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KeyStore(home.settings.keys).create(name, scopes)}"}


def _listed(client: Client, **query: Any) -> list[str]:
    found = client.get("/v1/decisions", params=query)
    assert found.status_code == 200, found.text
    return [each["decision_id"] for each in found.json()["decisions"]]


def _encoded(cursor: str) -> str:
    return base64.urlsafe_b64encode(cursor.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("kept", "asked"), [("2002", "2002.0"), ("2002", " 2002\t"), ("Am\u00e9lie", "Ame\u0301lie"), ("2002.0", "2002")]
)
def test_an_id_is_asked_for_as_it_is_kept(own_client: Client, own_home: ServingHome, kept: str, asked: str) -> None:
    ids = {"application_id": kept, "borrower_id": kept}
    made = own_client.post("/v1/scores", json=APPLICATION | ids).json()["decision_id"]

    assert _listed(own_client, application_id=asked) == [made]
    assert _listed(own_client, borrower_id=asked) == [made]


def test_decisions_are_found_by_application_and_borrower_before_and_after_they_reach_the_lake(
    own_client: Client, own_home: ServingHome
) -> None:
    first = own_client.post("/v1/scores", json=APPLICATION).json()["decision_id"]
    ingest_into_lake(own_home.settings)
    decision_log.prune(own_home.settings, older_than=timedelta(0))
    second = own_client.post("/v1/scores", json=APPLICATION | {"borrower_id": "sim-b2"}).json()["decision_id"]
    other = own_client.post("/v1/scores", json=RISKY).json()["decision_id"]

    assert _listed(own_client, application_id="app-1") == [second, first]
    assert _listed(own_client, borrower_id="sim-b2") == [other, second]
    assert _listed(own_client, application_id="app-1", borrower_id="sim-b1") == [first]
    assert _listed(own_client) == [other, second, first]
    assert _listed(own_client, application_id="app") == []


def test_a_list_goes_on_at_its_cursor(own_client: Client, own_home: ServingHome) -> None:
    made = [own_client.post("/v1/scores", json=APPLICATION).json()["decision_id"] for _ in range(3)]
    ingest_into_lake(own_home.settings)
    made += [own_client.post("/v1/scores", json=APPLICATION).json()["decision_id"] for _ in range(2)]
    pages, cursor = [], None

    for _ in range(3):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = own_client.get("/v1/decisions", params=query).json()
        pages.append([each["decision_id"] for each in answer["decisions"]])
        cursor = answer["next_cursor"]

    assert pages == [made[:2:-1], made[2:0:-1], made[:1]]
    assert cursor is None


@pytest.mark.parametrize(
    ("path", "field", "rule"),
    [
        ("/v1/decisions?aplication_id=app-1", "aplication_id", "did you mean application_id?"),
        ("/v1/scores?dry_run=1", "dry_run", "is not a parameter of this path"),
        ("/v1/batches?stat=queued", "stat", "did you mean state?"),
        ("/v1/decisions?limit=0", "limit", "1"),
        ("/v1/decisions?limit=many", "limit", "whole number"),
        ("/v1/batches?state=done", "state", "must be one of queued, running"),
        ("/v1/decisions?cursor=!", "cursor", "next_cursor"),
        (f"/v1/decisions?cursor={_encoded('2026-01-01T00:00:00+05:00 x')}", "cursor", "next_cursor"),
        ("/v1/batches?cursor=zzz", "cursor", "next_cursor"),
        ("/v1/decisions?application_id=1.2E%2B15", "application_id", "no rounded number"),
        ("/v1/decisions?borrower_id=n/a", "borrower_id", "no word for a missing one"),
        ("/v1/decisions?borrower_id=%20", "borrower_id", "no word for a missing one"),
    ],
)
def test_a_query_that_cannot_be_followed_is_refused_by_name(client: Client, path: str, field: str, rule: str) -> None:
    method = "POST" if path.startswith("/v1/scores") else "GET"

    answer = client.request(method, path, json=APPLICATION if method == "POST" else None)

    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:loanlake:problem:invalid-request"
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert rule in answer.json()["errors"][0]["rule"]


def test_a_parameter_that_comes_twice_is_refused(client: Client) -> None:
    answer = client.get("/v1/decisions?limit=1&limit=2")

    assert answer.status_code == 400
    assert answer.json()["detail"] == "Send each query parameter once: limit"


@pytest.mark.parametrize("path", ["models", "decisions"])
def test_an_unknown_lender_is_not_an_empty_list(client: Client, path: str) -> None:
    answer = client.get(f"/v1/lenders/simualted/{path}")

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:loanlake:problem:unknown-lender"


def test_batches_are_listed_for_their_caller(own_home: ServingHome) -> None:
    first, second = (_key(own_home, name, "batch") for name in ("first", "second"))
    admin = _key(own_home, "boss", "admin")
    with TestClient(create_app(own_home.settings), raise_server_exceptions=False) as client:
        made = [_send_batch(client, headers) for headers in (first, first, first, second)]
        page = client.get("/v1/batches?limit=2", headers=first).json()
        rest = client.get("/v1/batches", params={"cursor": page["next_cursor"]}, headers=first).json()
        queued = client.get("/v1/batches?state=queued", headers=second).json()
        failed = client.get("/v1/batches?state=failed", headers=second).json()
        all_of_them = client.get("/v1/batches", headers=admin).json()

    assert [each["batch_id"] for each in page["batches"]] == [made[2], made[1]]
    assert ([each["batch_id"] for each in rest["batches"]], rest["next_cursor"]) == ([made[0]], None)
    assert [each["batch_id"] for each in queued["batches"]] == [made[3]]
    assert failed["batches"] == []
    assert [each["batch_id"] for each in all_of_them["batches"]] == made[::-1]


def _send_batch(client: Client, headers: dict[str, str], body: dict[str, Any] | None = None) -> str:
    content = json.dumps(body or {"applications": [APPLICATION]})
    answer = client.post("/v1/batches", content=content, headers=headers | {"Content-Type": "application/json"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["batch_id"])


def test_each_decision_and_outcome_says_who_asked_and_by_which_route(own_home: ServingHome) -> None:
    asker, reporter = _key(own_home, "branch office", "score", "batch"), _key(own_home, "collections", "outcomes")
    with writer("test", own_home.settings) as con:
        con.execute("create schema analyst")
        con.execute(
            "create table analyst.applications as select 'app-9' as application_id, 12000.0 as requested_amount, "
            "36 as term_months, 'car' as purpose"
        )
    with TestClient(create_app(own_home.settings), raise_server_exceptions=False) as client:
        client.post("/v1/scores", json=APPLICATION, headers=asker)
        client.post("/v1/scores", json=APPLICATION, headers=asker | {"Idempotency-Key": "1"})
        client.post("/v1/scores/batch", json={"applications": [APPLICATION]}, headers=asker)
        batches = [
            _send_batch(client, asker),
            _send_batch(client, asker, {"table": "analyst.applications", "rows": "applications"}),
        ]
        client.post("/v1/outcomes", json=OUTCOME, headers=reporter)
    for batch_id in batches:
        run_batch(own_home.settings, batch_id, run_id="run-1")
    ingest_into_lake(own_home.settings)

    with closing(connect(own_home.settings)) as con:
        decisions = con.execute(
            "select route, caller_name, count(*) from serving.predictions group by all order by all"
        ).fetchall()
        callers = con.execute("select distinct caller_id from serving.predictions").fetchall()
        outcomes = con.execute("select caller_id, caller_name from serving.reported_outcomes").fetchall()
    assert decisions == [
        ("file_batch", "branch office", 1),
        ("inline_batch", "branch office", 1),
        ("online", "branch office", 2),
        ("table_batch", "branch office", 1),
    ]
    ids = {name: key.key_id for key in KeyStore(own_home.settings.keys).all() for name in [key.name]}
    assert callers == [(ids["branch office"],)]
    assert outcomes == [(ids["collections"], "collections")]


@pytest.fixture
def separated(own_home: ServingHome) -> Iterator[Client]:
    """An API whose callers see their own decisions alone."""
    options = ServingOptions(own_decisions_only=True)
    with TestClient(create_app(own_home.settings, options), raise_server_exceptions=False) as client:
        yield client


def test_a_caller_sees_their_own_decisions_alone_where_that_is_set(separated: Client, own_home: ServingHome) -> None:
    first, second = (_key(own_home, name, "score", "decisions") for name in ("first", "second"))
    admin = _key(own_home, "boss", "admin")
    mine = separated.post("/v1/scores", json=APPLICATION, headers=first).json()["decision_id"]
    path = f"/v1/decisions/{mine}"

    found = {name: separated.get(path, headers=key).status_code for name, key in (("1", first), ("2", second))}

    assert found == {"1": 200, "2": 404}
    assert separated.get(path, headers=admin).json()["caller"] == "first"
    assert separated.get("/v1/decisions", headers=second).json()["decisions"] == []
    assert len(separated.get("/v1/decisions", headers=first).json()["decisions"]) == 1
    assert separated.get(f"/decisions?id={mine}", headers=second).status_code == 404
    assert separated.get(f"/decisions?id={mine}", headers=first).status_code == 200
    assert "app-1" not in separated.get("/", headers=second).text
    assert "app-1" in separated.get("/", headers=first).text


def test_a_rotated_key_sees_what_its_predecessor_had_scored(separated: Client, own_home: ServingHome) -> None:
    store = KeyStore(own_home.settings.keys)
    old = store.create("first", ["score", "decisions"])
    mine = separated.post("/v1/scores", json=APPLICATION, headers={"X-API-Key": old}).json()["decision_id"]

    new = store.rotate(old.split("_")[1], overlap=timedelta(0))

    assert separated.get(f"/v1/decisions/{mine}", headers={"X-API-Key": new}).status_code == 200


def test_an_outcome_of_an_application_that_another_had_scored_is_refused_where_that_is_set(
    separated: Client, own_home: ServingHome
) -> None:
    first, second = (_key(own_home, name, "score", "outcomes") for name in ("first", "second"))
    separated.post("/v1/scores", json=APPLICATION, headers=first)
    ingest_into_lake(own_home.settings)

    answers = [separated.post("/v1/outcomes", json=OUTCOME, headers=headers) for headers in (second, first)]

    assert [answer.status_code for answer in answers] == [404, 200]
    assert answers[0].json()["type"] == "urn:loanlake:problem:unknown-application"
