"""What becomes of a batch: scored as its rows are alone, and handed out in three forms."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from ml.decisions.replay import replay
from tests.model_factory import MODEL_NAME, fill_lake
from tests.serving_home import APPLICATION, RISKY, ServingHome
from tests.unit.serving.batches.conftest import BAD, CSV, PARQUET, Client, results_of, run_of, send_rows
from warehouse.lake.connection import connect


def test_a_batch_goes_from_queued_to_results(batch_client: Client, own_home: ServingHome) -> None:
    taken = send_rows(batch_client, APPLICATION, BAD, RISKY)

    assert taken.status_code == 202
    assert taken.json()["state"] == "queued"
    assert taken.json()["n_rows"] == 3
    location = taken.headers["Location"]
    assert batch_client.get(f"{location}/results").status_code == 409

    run_of(own_home, taken.json()["batch_id"])

    status = batch_client.get(location).json()
    assert (status["state"], status["share_done"]) == ("succeeded", 1.0)
    assert (status["n_scored"], status["n_refused"]) == (2, 1)
    assert status["model"] == {"name": MODEL_NAME, "version": 1, "feature_version": "v1"}
    good, bad, risky = results_of(batch_client, status["batch_id"])
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

    batch_id = send_rows(batch_client, *rows).json()["batch_id"]
    run_of(own_home, batch_id)

    together = results_of(batch_client, batch_id)
    for one, other in zip(alone, together, strict=True):
        assert other["probability"] == one["probability"]
        assert (other["band"], other["decision"], other["reasons"]) == (one["band"], one["decision"], one["reasons"])
        logged = [batch_client.get(f"/v1/decisions/{each['decision_id']}").json() for each in (one, other)]
        for what in ("raw_score", "features", "history", "status", "features_as_of", "borrower_id"):
            assert logged[0][what] == logged[1][what]


def test_what_was_sent_is_a_decision_that_replays(batch_client: Client, own_home: ServingHome) -> None:
    batch_id = send_rows(batch_client, APPLICATION, RISKY).json()["batch_id"]
    run_of(own_home, batch_id)

    found = [replay(own_home.settings, row["decision_id"]) for row in results_of(batch_client, batch_id)]

    assert all(each.equal for each in found)
    assert {(each.decision.role, each.decision.route) for each in found} == {("champion", "file_batch")}


def test_csv_says_what_json_says(batch_client: Client, own_home: ServingHome) -> None:
    text = io.StringIO()
    lines = csv.DictWriter(text, list(APPLICATION))
    lines.writeheader()
    lines.writerows([APPLICATION | {"income_verified": "TRUE"}, BAD, APPLICATION | {"annual_income": ""}])
    text.write("too,few,fields\n")

    by_csv = batch_client.post("/v1/batches", content=text.getvalue(), headers=CSV).json()["batch_id"]
    by_json = send_rows(batch_client, APPLICATION, BAD, APPLICATION | {"annual_income": None}).json()["batch_id"]
    for batch_id in (by_csv, by_json):
        run_of(own_home, batch_id)

    *first, broken = results_of(batch_client, by_csv)
    assert broken["problem"]["detail"] == "The line must have 8 fields as its header: found 3"
    for one, other in zip(first, results_of(batch_client, by_json), strict=True):
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
    batch_id = send_rows(batch_client, APPLICATION | {"application_id": text}).json()["batch_id"]
    run_of(own_home, batch_id)

    as_csv = batch_client.get(f"/v1/batches/{batch_id}/results", headers={"Accept": "text/csv"})

    [row] = csv.DictReader(io.StringIO(as_csv.text))
    assert row["application_id"] == f"'{text}"
    assert float(row["raw_score"]) < 0  # a number stays one
    assert results_of(batch_client, batch_id)[0]["application_id"] == text


def test_results_are_a_file_with_a_name(batch_client: Client, own_home: ServingHome) -> None:
    batch_id = send_rows(batch_client, APPLICATION).json()["batch_id"]
    run_of(own_home, batch_id)

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
    batch_id = send_rows(batch_client, APPLICATION, BAD).json()["batch_id"]
    run_of(own_home, batch_id)
    path = f"/v1/batches/{batch_id}/results"

    as_json = results_of(batch_client, batch_id)
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
    done = run_of(own_home, taken.json()["batch_id"])

    assert (done.state, done.n_scored, done.n_rows) == ("succeeded", 300, 300)
    rows = results_of(batch_client, done.batch_id)
    assert {row["decision_id"] for row in rows} == {None}
    assert {bool(row["reasons"]) for row in rows if row["decision"] == "decline"} == {True}
