"""Batches over HTTP: taken durably, asked after by their caller alone, scored by a run, handed out in three forms."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.batch_runs import run_batch
from ml.replay import replay
from serving.app import create_app
from serving.keys import MOST_REQUESTS, KeyStore
from serving.options import ServingOptions
from tests.model_factory import MODEL_NAME, fill_lake
from tests.serving_home import APPLICATION, RISKY, ServingHome
from warehouse import decision_log
from warehouse.batches import Batch, BatchStates
from warehouse.lake import connect
from warehouse.settings import Settings

Client = TestClient[Litestar]
JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}
PARQUET = "application/vnd.apache.parquet"
BAD = APPLICATION | {"application_id": "app-3", "term_months": 0, "purpose": "boat"}


@pytest.fixture
def batch_client(own_home: ServingHome) -> Iterator[Client]:
    """A caller with the scope, over a home of its own that takes six rows at most."""
    options = ServingOptions(queued_batch_rows=6, batch_bytes=20_000, queued_batches=3, poll_seconds=0.05)
    with TestClient(create_app(own_home.settings, options), raise_server_exceptions=False) as client:
        client.headers.update(_key(own_home.settings, "batch", "decisions", "score"))
        yield client


def _key(settings: Settings, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KeyStore(settings.keys).create('b', scopes, rate_limit=MOST_REQUESTS)}"}


def _send(client: Client, *rows: Any, **headers: str) -> Any:
    return client.post("/v1/batches", content=json.dumps({"applications": rows}), headers=JSON | headers)


def _run(home: ServingHome, batch_id: str) -> Batch:
    done = run_batch(home.settings, batch_id, run_id="run-1")
    assert done is not None
    return done


def _results(client: Client, batch_id: str) -> list[dict[str, Any]]:
    found = client.get(f"/v1/batches/{batch_id}/results")
    assert found.status_code == 200, found.text
    assert found.json()["batch_id"] == batch_id
    return list(found.json()["results"])


def test_a_batch_goes_from_queued_to_results(batch_client: Client, own_home: ServingHome) -> None:
    taken = _send(batch_client, APPLICATION, BAD, RISKY)

    assert taken.status_code == 202
    assert taken.json()["state"] == "queued"
    assert taken.json()["n_rows"] == 3
    location = taken.headers["Location"]
    assert batch_client.get(f"{location}/results").status_code == 409

    _run(own_home, taken.json()["batch_id"])

    status = batch_client.get(location).json()
    assert (status["state"], status["share_done"]) == ("succeeded", 1.0)
    assert (status["n_scored"], status["n_refused"]) == (2, 1)
    assert status["model"] == {"name": MODEL_NAME, "version": 1, "feature_version": "v1"}
    good, bad, risky = _results(batch_client, status["batch_id"])
    assert [row["row_number"] for row in (good, bad, risky)] == [1, 2, 3]
    assert (good["decision"], risky["decision"]) == ("approve", "decline")
    assert risky["reasons"][0]["text"]
    assert bad["application_id"] == "app-3"
    assert bad["probability"] is None
    assert [(error["field"], error["found"]) for error in bad["problem"]["errors"]] == [
        ("term_months", 0),
        ("purpose", "boat"),
    ]


def test_a_row_of_a_batch_gets_the_score_that_it_gets_alone(batch_client: Client, own_home: ServingHome) -> None:
    rows = [APPLICATION, RISKY, {name: value for name, value in APPLICATION.items() if name != "borrower_id"}]
    alone = [batch_client.post("/v1/scores", json=row).json() for row in rows]

    batch_id = _send(batch_client, *rows).json()["batch_id"]
    _run(own_home, batch_id)

    together = _results(batch_client, batch_id)
    for one, other in zip(alone, together, strict=True):
        assert other["probability"] == one["probability"]
        assert (other["band"], other["decision"], other["reasons"]) == (one["band"], one["decision"], one["reasons"])
        logged = [batch_client.get(f"/v1/decisions/{each['decision_id']}").json() for each in (one, other)]
        for what in ("raw_score", "features", "history", "status", "features_as_of", "borrower_id"):
            assert logged[0][what] == logged[1][what]


def test_what_was_sent_is_a_decision_that_replays(batch_client: Client, own_home: ServingHome) -> None:
    batch_id = _send(batch_client, APPLICATION, RISKY).json()["batch_id"]
    _run(own_home, batch_id)

    found = [replay(own_home.settings, row["decision_id"]) for row in _results(batch_client, batch_id)]

    assert all(each.equal for each in found)
    assert {each.decision.role for each in found} == {"batch"}


def test_csv_says_what_json_says(batch_client: Client, own_home: ServingHome) -> None:
    text = io.StringIO()
    lines = csv.DictWriter(text, list(APPLICATION))
    lines.writeheader()
    lines.writerows([APPLICATION | {"income_verified": "TRUE"}, BAD, APPLICATION | {"annual_income": ""}])
    text.write("too,few,fields\n")

    by_csv = batch_client.post("/v1/batches", content=text.getvalue(), headers=CSV).json()["batch_id"]
    by_json = _send(batch_client, APPLICATION, BAD, APPLICATION | {"annual_income": None}).json()["batch_id"]
    for batch_id in (by_csv, by_json):
        _run(own_home, batch_id)

    *first, broken = _results(batch_client, by_csv)
    assert broken["problem"]["detail"] == "The line must have 8 fields as its header: found 3"
    for one, other in zip(first, _results(batch_client, by_json), strict=True):
        assert one["probability"] == other["probability"]
        assert one["problem"] == other["problem"]


def test_results_come_as_csv_and_parquet_and_stand_in_the_lake(batch_client: Client, own_home: ServingHome) -> None:
    batch_id = _send(batch_client, APPLICATION, BAD).json()["batch_id"]
    _run(own_home, batch_id)
    path = f"/v1/batches/{batch_id}/results"

    as_json = _results(batch_client, batch_id)
    as_csv = batch_client.get(path, headers={"Accept": "text/csv"})
    as_parquet = batch_client.get(path, headers={"Accept": PARQUET})

    assert as_csv.headers["Content-Type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert [float(row["probability"] or "nan") for row in lines][:1] == [as_json[0]["probability"]]
    assert json.loads(lines[1]["problem"]) == as_json[1]["problem"]
    assert as_parquet.headers["Content-Type"] == PARQUET
    rows = pq.read_table(io.BytesIO(as_parquet.content)).to_pylist()
    with connect(own_home.settings) as con:
        in_lake = con.execute("select * from serving.batch_scores order by row_number").to_arrow_table().to_pylist()
    assert rows == in_lake
    assert [row["application_id"] for row in in_lake] == ["app-1", "app-3"]
    assert batch_client.get(path, headers={"Accept": "image/png"}).status_code == 406


def test_a_table_of_features_is_scored_as_its_rows_are_alone(batch_client: Client, own_home: ServingHome) -> None:
    fill_lake(own_home.settings, 300)

    taken = batch_client.post("/v1/batches", json={"table": "features.ftr_application_v1", "reasons": True})
    assert taken.status_code == 202, taken.text
    done = _run(own_home, taken.json()["batch_id"])

    assert (done.state, done.n_scored, done.n_rows) == ("succeeded", 300, 300)
    rows = _results(batch_client, done.batch_id)
    assert {row["decision_id"] for row in rows} == {None}
    assert {bool(row["reasons"]) for row in rows if row["decision"] == "decline"} == {True}


@pytest.mark.parametrize(
    "table",
    [
        "features.no_such_table",
        "ftr_application_v1",
        "raw.files",
        "serving.predictions",
        "../../etc/passwd",
        "features.ftr_application_v1; drop table features.ftr_application_v1",
        'features."ftr_application_v1"',
        "features.ftr_application_v1' or '1'='1",
        "memory.main.x",
        "lake.features.ftr_application_v1",
        "information_schema.tables",
        "features.ftr_application_inputs",
        "x",
        "a" * 500,
    ],
)
def test_a_table_that_cannot_be_scored_is_refused(client: Client, shared_home: ServingHome, table: str) -> None:
    fill_lake(shared_home.settings, 50)
    headers = _key(shared_home.settings, "batch")

    refused = client.post("/v1/batches", json={"table": table}, headers=headers)

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "table"
    with connect(shared_home.settings) as con:
        assert con.execute("select count(*) from features.ftr_application_v1").fetchone() == (50,)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        ('{"applications": []}', JSON, 400),
        ('{"applications": [{}, {}, {}, {}, {}, {}, {}]}', JSON, 400),
        ('{"applications": 1}', JSON, 400),
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
    location = _send(batch_client, APPLICATION).headers["Location"]
    other = _key(own_home.settings, "batch")

    assert batch_client.get(location, headers=_key(own_home.settings, "admin")).status_code == 200
    assert batch_client.get(location, headers=_key(own_home.settings, "score")).status_code == 403
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

    first, again = _send(batch_client, APPLICATION, **key), _send(batch_client, APPLICATION, **key)
    other = _send(batch_client, RISKY, **key)

    assert first.status_code == again.status_code == 202
    assert first.json()["batch_id"] == again.json()["batch_id"]
    assert other.status_code == 422
    assert other.json()["type"] == "urn:loanlake:problem:idempotency-key-reused"


def test_a_cancelled_batch_can_be_tried_again(batch_client: Client, own_home: ServingHome) -> None:
    location = _send(batch_client, APPLICATION).headers["Location"]
    batch_id = location.rpartition("/")[2]

    cancelled = batch_client.post(f"{location}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert run_batch(own_home.settings, batch_id, run_id="late") is None
    queued = batch_client.post(f"{location}/retry")
    assert (queued.status_code, queued.json()["state"], queued.json()["attempt"]) == (202, "queued", 2)
    assert batch_client.post(f"{location}/retry").status_code == 409

    _run(own_home, batch_id)

    assert len(_results(batch_client, batch_id)) == 1
    assert batch_client.post(f"{location}/cancel").status_code == 409
    assert batch_client.post(f"{location}/retry").status_code == 409


def test_no_more_batches_wait_than_the_server_allows(batch_client: Client, own_home: ServingHome) -> None:
    for _ in range(3):
        assert _send(batch_client, APPLICATION).status_code == 202

    refused = _send(batch_client, APPLICATION)

    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert BatchStates(own_home.settings).count() == 3


def test_a_batch_that_is_tried_again_after_its_results_makes_no_second_decision(
    batch_client: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the decision log and the lake: the next attempt publishes what the first one scored."""
    batch_id = _send(batch_client, APPLICATION, RISKY).json()["batch_id"]
    with monkeypatch.context() as patch:
        patch.setattr("ml.batch_runs.writer", _no_turn)
        failed = _run(own_home, batch_id)
    assert failed.state == "failed"
    first = decision_log.ingest_into_lake(own_home.settings)

    BatchStates(own_home.settings).retry(batch_id)
    done = _run(own_home, batch_id)
    second = decision_log.ingest_into_lake(own_home.settings)

    assert (done.state, done.n_scored) == ("succeeded", 2)
    assert (first.n_decisions, second.n_decisions) == (2, 0)
    assert len(_results(batch_client, batch_id)) == 2


def _no_turn(*_: object) -> Any:
    from warehouse.errors import LakeBusyError

    raise LakeBusyError("held by another")
