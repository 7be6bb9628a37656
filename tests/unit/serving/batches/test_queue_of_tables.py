"""A table of the lake as a batch: decided as if it had been sent, or refused."""

from typing import Any

import pytest

from ml.decisions.replay import replay
from ml.rollout.promotion import publish
from tests.model_factory import MODEL_NAME, fill_lake, publish_model, register_model
from tests.second_version import second_bundle
from tests.serving_home import APPLICATION, RISKY, ServingHome
from tests.unit.serving.batches.conftest import BAD, Client, key_of, results_of, run_of, send_rows
from warehouse.batches import BatchStates
from warehouse.lake.connection import connect, writer


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


def send_table(client: Client, table: str = "analyst.applications", **headers: str) -> Any:
    return client.post("/v1/batches", json={"table": table, "rows": "applications"}, headers=headers)


def test_a_table_of_applications_is_decided_as_if_it_had_been_sent(
    batch_client: Client, applications: ServingHome
) -> None:
    first = APPLICATION | {"decided_at": "2022-03-01T10:00:00Z"}
    sent = send_rows(batch_client, first, RISKY, BAD | {"borrower_id": None}).json()["batch_id"]

    taken = send_table(batch_client)

    assert taken.status_code == 202, taken.text
    assert (taken.json()["table"], taken.json()["n_rows"]) == ("analyst.applications", 3)
    batch_id = taken.json()["batch_id"]
    for each in (sent, batch_id):
        run_of(applications, each)
    good, risky, bad = results_of(batch_client, batch_id)
    for one, other in zip((good, risky), results_of(batch_client, sent), strict=False):
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
    taken = send_table(batch_client, **{"Idempotency-Key": "monday"}).json()
    with writer("test", applications.settings) as con:
        con.execute("delete from analyst.applications where application_id <> 'app-2'")

    again = send_table(batch_client, **{"Idempotency-Key": "monday"}).json()
    done = run_of(applications, taken["batch_id"])

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

    refused = send_table(batch_client)

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
    location = send_rows(batch_client, APPLICATION).headers["Location"]
    batch_id = location.rpartition("/")[2]
    publish(own_home.settings, register_model(own_home.settings, second_bundle(), version=2), by="tests")

    run_of(own_home, batch_id)

    status = batch_client.get(location).json()
    assert status["state"] == "failed"
    assert status["reason"] == (
        f"the fields of its rows are those of {MODEL_NAME} version 1, the champion when it was taken; "
        f"{MODEL_NAME} version 2, the champion now, takes others: send the batch again with them (to try this one "
        "again helps only after a rollback)"
    )
    publish_model(own_home.settings, version=3)
    batch_client.post(f"{location}/retry")
    assert run_of(own_home, batch_id).state == "succeeded"


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
    headers = key_of(home_with_features.settings, "batch")

    refused = client.post("/v1/batches", json={"table": table, "rows": rows}, headers=headers)

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "table"
    with connect(home_with_features.settings) as con:
        assert con.execute("select count(*) from features.ftr_application_v1").fetchone() == (50,)
