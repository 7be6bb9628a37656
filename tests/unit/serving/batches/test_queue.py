"""Batches over HTTP: taken durably, asked after by their caller alone, scored by a run, handed out in three forms."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.batches.runs import run_batch
from ml.decisions.replay import replay
from ml.rollout.promotion import publish
from orchestration.defs.maintenance.upkeep import maintain_home
from serving.access.caller import Caller
from serving.access.keys import MOST_REQUESTS, KeyStore
from serving.app import create_app
from serving.http.clock import utc_now
from serving.options import ServingOptions
from tests.model_factory import MODEL_NAME, fill_lake, publish_model, register_model
from tests.second_version import second_bundle
from tests.serving_home import APPLICATION, RISKY, ServingHome
from warehouse import decision_log
from warehouse.batches import Batch, BatchStates
from warehouse.lake.connection import connect, writer
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
    assert {(each.decision.role, each.decision.route) for each in found} == {("champion", "file_batch")}


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


@pytest.mark.parametrize(
    ("header", "errors"),
    [
        (
            "application_id,requested_amount,term_month,purpose",
            [
                ("term_month", "is not a field of this request; did you mean term_months?"),
                ("term_months", "is required: not in the header"),
            ],
        ),
        ("application_id,term_months,purpose", [("requested_amount", "is required: not in the header")]),
        (
            "application_id,requested_amount,term_months,purpose,xyz",
            [("xyz", "is not a field of this request")],
        ),
    ],
)
def test_a_header_with_which_every_row_would_be_refused_is_refused(
    batch_client: Client, header: str, errors: list[tuple[str, str]]
) -> None:
    line = ",".join("1" for _ in header.split(","))

    refused = batch_client.post("/v1/batches", content=f"{header}\n{line}\n", headers=CSV)

    assert refused.status_code == 400
    assert [(each["field"], each["rule"]) for each in refused.json()["errors"]] == errors


@pytest.mark.parametrize("text", ['=HYPERLINK("http://evil.example")', "+1", "-1", "@SUM(1)", "\uff1d1+1"])
def test_an_id_that_a_spreadsheet_would_run_is_text_in_csv_and_itself_elsewhere(
    batch_client: Client, own_home: ServingHome, text: str
) -> None:
    batch_id = _send(batch_client, APPLICATION | {"application_id": text}).json()["batch_id"]
    _run(own_home, batch_id)

    as_csv = batch_client.get(f"/v1/batches/{batch_id}/results", headers={"Accept": "text/csv"})

    [row] = csv.DictReader(io.StringIO(as_csv.text))
    assert row["application_id"] == f"'{text}"
    assert float(row["raw_score"]) < 0  # a number stays one
    assert _results(batch_client, batch_id)[0]["application_id"] == text


def test_results_are_a_file_with_a_name(batch_client: Client, own_home: ServingHome) -> None:
    batch_id = _send(batch_client, APPLICATION).json()["batch_id"]
    _run(own_home, batch_id)

    named = {
        form: batch_client.get(f"/v1/batches/{batch_id}/results", headers={"Accept": form}).headers[
            "Content-Disposition"
        ]
        for form in ("text/csv", "application/json", PARQUET)
    }

    assert named == {
        "text/csv": f'attachment; filename="batch-{batch_id}.csv"',
        "application/json": f'attachment; filename="batch-{batch_id}.json"',
        PARQUET: f'attachment; filename="batch-{batch_id}.parquet"',
    }


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


@pytest.fixture
def applications(own_home: ServingHome) -> ServingHome:
    """A table of applications as an analyst might have it: other types, other columns, one row refused."""
    with writer("test", own_home.settings) as con:
        con.execute("create schema analyst")
        con.execute("""
            create table analyst.applications as select * from (values
                (1, 'app-1', 'sim-b1', 12000.00::decimal(12, 2), 36::bigint, 'car', 48000.0::double, true,
                    date '2010-05-01', timestamptz '2022-03-01 12:00:00+02'),
                (2, 'app-2', 'sim-b2', 90000.00, 60, 'other', 9000.0, true, date '2010-05-01', null),
                (3, 'app-3', null, 12000.00, 0, 'boat', 'nan'::double, null, null, null)
            ) as rows(batch, application_id, borrower_id, requested_amount, term_months, purpose, annual_income,
                income_verified, oldest_account_on, decided_at)""")
    return own_home


def _send_table(client: Client, table: str = "analyst.applications", **headers: str) -> Any:
    return client.post("/v1/batches", json={"table": table, "rows": "applications"}, headers=headers)


def test_a_table_of_applications_is_decided_as_if_it_had_been_sent(
    batch_client: Client, applications: ServingHome
) -> None:
    first = APPLICATION | {"decided_at": "2022-03-01T10:00:00Z"}
    sent = _send(batch_client, first, RISKY, BAD | {"borrower_id": None}).json()["batch_id"]

    taken = _send_table(batch_client)

    assert taken.status_code == 202, taken.text
    assert (taken.json()["table"], taken.json()["n_rows"]) == ("analyst.applications", 3)
    batch_id = taken.json()["batch_id"]
    for each in (sent, batch_id):
        _run(applications, each)
    good, risky, bad = _results(batch_client, batch_id)
    for one, other in zip((good, risky), _results(batch_client, sent), strict=False):
        for name in ("application_id", "probability", "raw_score", "band", "decision", "reasons", "lake_snapshot"):
            assert one[name] == other[name]
        logged = [batch_client.get(f"/v1/decisions/{each['decision_id']}").json() for each in (one, other)]
        for what in ("features", "history", "status", "borrower_id"):
            assert logged[0][what] == logged[1][what]
        assert replay(applications.settings, one["decision_id"]).equal
    assert risky["reasons"][0]["text"]
    found = [(error["field"], error["found"]) for error in bad["problem"]["errors"]]
    assert found == [("term_months", 0), ("purpose", "boat"), ("annual_income", "NaN")]


def test_a_table_of_applications_is_taken_as_it_stands(batch_client: Client, applications: ServingHome) -> None:
    """What comes into the table later is not in the batch, which names the snapshot it was read at."""
    taken = _send_table(batch_client, **{"Idempotency-Key": "monday"}).json()
    with writer("test", applications.settings) as con:
        con.execute("delete from analyst.applications where application_id <> 'app-2'")

    again = _send_table(batch_client, **{"Idempotency-Key": "monday"}).json()
    done = _run(applications, taken["batch_id"])

    assert (again["batch_id"], again["lake_snapshot"]) == (taken["batch_id"], taken["lake_snapshot"])
    assert (done.n_rows, done.lake_snapshot) == (3, taken["lake_snapshot"])
    with connect(applications.settings) as con:
        (n_then,) = con.execute(
            f"select count(*) from analyst.applications at (version => {done.lake_snapshot})"
        ).fetchall()
    assert n_then == (3,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("alter table {} drop column term_months", "lacks term_months"),
        ("alter table {} rename column annual_income to annual_incomes", "'annual_incomes', and no annual_income"),
        ("alter table {} rename column borrower_id to Borrower_Id", "'Borrower_Id', and no borrower_id"),
        ("insert into {} from {} union all from {}", "must hold 1 to 6 rows (LOANLAKE_QUEUED_BATCH_ROWS)"),
        ("delete from {}", "holds 0"),
        ("alter table {} add column source varchar default 'northbank'", "found 3 rows of northbank"),
    ],
)
def test_a_table_that_holds_no_batch_of_applications_is_refused(
    batch_client: Client, applications: ServingHome, change: str, said: str
) -> None:
    with writer("test", applications.settings) as con:
        con.execute(change.replace("{}", "analyst.applications"))

    refused = _send_table(batch_client)

    assert refused.status_code == 400
    assert said in refused.json()["detail"]
    assert BatchStates(applications.settings).count() == 0


def test_a_table_of_applications_is_no_table_of_features_and_says_how_it_is_named(
    batch_client: Client, applications: ServingHome
) -> None:
    refused = batch_client.post("/v1/batches", json={"table": "analyst.applications"})

    assert refused.status_code == 400
    assert refused.json()["detail"].endswith('A table of applications is named with "rows": "applications"')


def test_rows_for_other_fields_than_the_champions_fail_and_say_whose_they_are(
    batch_client: Client, own_home: ServingHome
) -> None:
    location = _send(batch_client, APPLICATION).headers["Location"]
    batch_id = location.rpartition("/")[2]
    publish(own_home.settings, register_model(own_home.settings, second_bundle(), version=2), by="tests")

    _run(own_home, batch_id)

    status = batch_client.get(location).json()
    assert status["state"] == "failed"
    assert status["reason"] == (
        f"the fields of its rows are those of {MODEL_NAME} version 1, the champion when it was taken; "
        f"{MODEL_NAME} version 2, the champion now, takes others: send the batch again with them (to try this one "
        "again helps only after a rollback)"
    )
    publish_model(own_home.settings, version=3)
    batch_client.post(f"{location}/retry")
    assert _run(own_home, batch_id).state == "succeeded"


@pytest.fixture(scope="module")
def home_with_features(shared_home: ServingHome) -> ServingHome:
    fill_lake(shared_home.settings, 50)
    return shared_home


@pytest.mark.parametrize("rows", ["features", "applications"])
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
        "information_schema.columns",
        "x",
        "a" * 500,
    ],
)
def test_a_table_that_cannot_be_scored_is_refused(
    client: Client, home_with_features: ServingHome, table: str, rows: str
) -> None:
    headers = _key(home_with_features.settings, "batch")

    refused = client.post("/v1/batches", json={"table": table, "rows": rows}, headers=headers)

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "table"
    with connect(home_with_features.settings) as con:
        assert con.execute("select count(*) from features.ftr_application_v1").fetchone() == (50,)


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


def test_of_one_request_sent_twice_at_once_one_batch_is_taken(
    batch_client: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"Idempotency-Key": "monday"}
    first = _send(batch_client, APPLICATION, **key)
    monkeypatch.setattr(BatchStates, "find_by_key", lambda *_: None)  # the second looked before the first was there

    second = _send(batch_client, APPLICATION, **key)

    assert second.json()["batch_id"] == first.json()["batch_id"]
    assert [path.name for path in own_home.settings.batches.iterdir()] == [first.json()["batch_id"]]


def test_a_batch_that_could_not_be_kept_leaves_no_rows(
    batch_client: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Batch:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(BatchStates, "add", fail)

    assert _send(batch_client, APPLICATION).status_code == 503
    assert list(own_home.settings.batches.iterdir()) == []


def test_a_key_whose_batch_was_forgotten_is_a_new_key(batch_client: Client, own_home: ServingHome) -> None:
    """Under the old batch's id its scores would replace the old ones, and its decisions never reach the lake."""
    settings, key = own_home.settings, {"Idempotency-Key": "monday"}
    first = _send(batch_client, APPLICATION, **key).json()["batch_id"]
    _run(own_home, first)
    decision_log.ingest_into_lake(settings)

    maintain_home(settings, retention_days=0, grace_hours=0)
    assert _send(batch_client, APPLICATION, **key).json()["batch_id"] == first

    BatchStates(settings).remove_ended_before(utc_now())
    decision_log.prune(settings, older_than=timedelta(0))
    second = _send(batch_client, RISKY, **key).json()["batch_id"]
    _run(own_home, second)
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
    batch_id = _send(batch_client, *(BAD | {"application_id": each, "borrower_id": each} for each in ids)).json()
    _run(own_home, batch_id["batch_id"])

    rows = _results(batch_client, batch_id["batch_id"])

    expected = ["b-1", "4711", None, None, None, None]
    assert [row["borrower_id"] for row in rows] == [row["application_id"] for row in rows] == expected


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


def test_no_more_bodies_are_received_at_once_than_memory_is_meant_for(batch_client: Client) -> None:
    """Each of the requests that a worker lets be under way could hold a body of 16 MB."""
    batches = batch_client.app.dependencies["batches"].dependency()
    with ExitStack() as bodies:
        for number in range(8):
            bodies.enter_context(batches.place_for_a_body(_caller(f"caller {number}")))
        refused = _send(batch_client, APPLICATION)

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert "8 batches are being received" in refused.json()["detail"]
    assert [_send(batch_client, number).status_code for number in range(3)] == [202] * 3


def test_bodies_that_one_caller_sends_slowly_keep_no_other_out(batch_client: Client, own_home: ServingHome) -> None:
    batches = batch_client.app.dependencies["batches"].dependency()
    slow = KeyStore(own_home.settings.keys).create("slow", ["batch"])
    slow_caller = _caller(slow.split("_")[1])
    with ExitStack() as bodies:
        for _ in range(2):
            bodies.enter_context(batches.place_for_a_body(slow_caller))
        refused = _send(batch_client, APPLICATION, Authorization=f"Bearer {slow}")
        other = _send(batch_client, APPLICATION)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert other.status_code == 202
    assert _send(batch_client, APPLICATION, Authorization=f"Bearer {slow}").status_code == 202


def test_the_queue_has_room_for_others_beside_a_caller_who_fills_their_part(own_home: ServingHome) -> None:
    options = ServingOptions(queued_batches=10, queued_batches_of_caller=2)
    first, second = (_key(own_home.settings, "batch") for _ in range(2))
    with TestClient(create_app(own_home.settings, options), raise_server_exceptions=False) as client:
        statuses = [_send(client, APPLICATION, **first).status_code for _ in range(3)]
        other = _send(client, APPLICATION, **second)
        refused = _send(client, APPLICATION, **first)

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
    batch_id = _send(batch_client, APPLICATION, RISKY).json()["batch_id"]
    with monkeypatch.context() as patch:
        patch.setattr("ml.batches.runs.writer", _no_turn)
        waiting = _run(own_home, batch_id)
    assert (waiting.state, waiting.attempt, waiting.n_postponed) == ("queued", 2, 1)
    assert waiting.reason == "held by another"
    assert decision_log.count_pending(own_home.settings) == 0

    done = _run(own_home, batch_id)

    assert (done.state, done.n_scored) == ("succeeded", 2)
    assert decision_log.ingest_into_lake(own_home.settings).n_decisions == 2
    assert len(_results(batch_client, batch_id)) == 2


def _no_turn(*_: object) -> Any:
    from warehouse.errors import LakeBusyError

    raise LakeBusyError("held by another")
