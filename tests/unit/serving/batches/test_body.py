"""Rows of a queued batch are checked one by one, for no more than a row should cost."""

import io
import json
import zipfile

import pytest

from serving.batches.body import CSV, checked_rows, read_body
from serving.deployed.deployment_schema import DeploymentSchema, Version
from serving.deployed.score_request import score_request_schema
from serving.http.clock import utc_now
from serving.http.problems import InvalidRequest
from warehouse.batches import SentRow
from warehouse.features.columns import InputColumn
from warehouse.features.contract import FeatureContract


def test_the_first_refused_rows_say_which_names_may_have_been_meant() -> None:
    schema = DeploymentSchema(
        Version(
            "version 1, the champion",
            score_request_schema(FeatureContract(version="v1", inputs=(), features=(), sql="")),
        )
    )
    good, misspelt = {"application_id": "a"}, {"application_id": "a", "borrower": "b"}

    rows = list(checked_rows([good, *[misspelt] * 12], schema, utc_now()))

    problems = [row.problem or "" for row in rows]
    assert problems[0] == ""
    assert ["is not a field of this request" in problem for problem in problems[1:]] == [True] * 12
    assert ["did you mean borrower_id?" in problem for problem in problems[1:]] == [True] * 10 + [False] * 2


INPUTS = tuple(
    InputColumn(name, data_type, f"The {name}.", "request", values=values)
    for name, data_type, values in [
        ("requested_amount", "double", None),
        ("term_months", "integer", None),
        ("income_verified", "boolean", None),
        ("oldest_account_on", "date", None),
        ("purpose", "varchar", ("car", "house")),
    ]
)
FIELDS = DeploymentSchema(
    Version("the champion", score_request_schema(FeatureContract(version="v1", inputs=INPUTS, features=(), sql="")))
)


def read_csv(header: str, line: str) -> SentRow:
    rows = read_body(f"{header}\n{line}\n".encode(), CSV, FIELDS, most_rows=5)
    assert isinstance(rows, list)
    (row,) = checked_rows(rows, FIELDS, utc_now())
    return row


def test_a_line_of_csv_is_read_as_a_line_of_a_lenders_file() -> None:
    header = (
        "application_id,borrower_id,decided_at,requested_amount,term_months,income_verified,oldest_account_on,purpose"
    )

    row = read_csv(header, "1001.0, b\t,2024-03-01 10:00 +0530,+5e3,36.0,TRUE,2010-05-01 00:00:00, car ")

    assert row.problem is None
    assert (row.application_id, row.borrower_id) == ("1001", "b")
    assert json.loads(row.request or "") == {
        "application_id": "1001",
        "borrower_id": "b",
        "decided_at": "2024-03-01T04:30:00",
        "requested_amount": 5000.0,
        "term_months": 36,
        "income_verified": True,
        "oldest_account_on": "2010-05-01",
        "purpose": "car",
    }


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("requested_amount", "50_00"),
        ("requested_amount", "1e-400"),
        ("term_months", "3months6"),
        ("income_verified", "ja"),
        ("oldest_account_on", "2010-05-1O"),
        ("decided_at", "2024-03-01 10:00:00 America/New_York"),
    ],
)
def test_a_cell_of_csv_that_a_file_would_put_in_quarantine_is_refused_as_sent(field: str, text: str) -> None:
    row = read_csv(f"application_id,{field}", f"a,{text}")

    (error,) = json.loads(row.problem or "")["errors"]
    assert (error["field"], error["found"]) == (field, text)


@pytest.mark.parametrize(
    ("field", "text", "found"),
    [
        ("oldest_account_on", "2099-01-01", "2099-01-01"),
        ("oldest_account_on", "1899-12-31", "1899-12-31"),
        ("decided_at", "0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00+05:00"),
        ("decided_at", "1899-12-31 10:00", "1899-12-31T10:00:00"),
    ],
)
def test_a_date_of_csv_out_of_its_range_is_its_rows_problem(field: str, text: str, found: str) -> None:
    row = read_csv(f"application_id,{field}", f"a,{text}")

    (error,) = json.loads(row.problem or "")["errors"]
    assert (error["field"], error["found"]) == (field, found)


def _workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"application_id;term_months\na;36\n", "its fields are separated by semicolons: write it with commas"),
        (b"\xef\xbb\xbfapplication_id\tterm_months\na\t36\n", "separated by tabs: write it with commas"),
        (b"sep=;\napplication_id;term_months\na;36\n", "separated by semicolons: write it with commas"),
        (_workbook(), "it is an Excel workbook (.xlsx). Send it as CSV"),
        (b"\x1f\x8b\x08", "it is a gzipped file"),
        ("application_id".encode("utf-16"), "it is UTF-16 text"),
    ],
)
def test_a_body_that_is_no_csv_is_refused_by_what_it_is(body: bytes, found: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_body(body, CSV, FIELDS, most_rows=5)

    assert found in str(refused.value.detail)


def test_a_refused_row_is_found_by_the_id_that_it_would_have_had() -> None:
    """Its person may ask to be forgotten."""
    row = read_csv("application_id,borrower_id,term_months", "a,1001.0,none at all")

    assert (row.borrower_id, row.problem is not None) == ("1001", True)
