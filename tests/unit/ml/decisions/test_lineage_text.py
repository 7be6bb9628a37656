"""What `loanlake lineage` prints unless more is asked for."""

from dataclasses import replace
from datetime import datetime

from ml.decisions.lineage import DecisionLineage, Feature, HistoryCheck, Input, Rows
from ml.decisions.lineage_text import lineage_summary

STATEMENTS = tuple({"file": "statements.csv", "line": line} for line in range(2, 14))
FOUND = DecisionLineage(
    decision={
        "decision_id": "d-1",
        "decided_at": "2025-01-31T10:00:00",
        "source": "lender",
        "application_id": "a-1",
        "borrower_id": "b-1",
        "route": "online",
        "probability": 0.3,
        "band": "high",
        "decision": "decline",
        "features_as_of": "2025-01-31T10:00:00",
        "reasons": [{"feature": "loan_to_income", "text": "The loan is high for the income", "contribution": 0.4}],
    },
    model={"model_name": "m", "model_version": 1, "feature_version": "v1", "training_snapshot": 7},
    snapshot=9,
    notes=(),
    features=tuple(
        Feature(name, value, "requested_amount / annual_income", ("annual_income", "requested_amount"))
        for name, value in [("loan_to_income", 0.5), *((f"feature_{n}", None) for n in range(59))]
    ),
    inputs=tuple(Input(f"input_{n}", n, "request", "the caller") for n in range(50)),
    core=(Rows("core.int_statements", "history", "select …", STATEMENTS),),
    staging=(),
    raw=(Rows("raw.lender_statements", "as received", "select …", STATEMENTS),),
    checks=(HistoryCheck("n_statements_6m", 12, 12),),
)


def test_a_lineage_is_a_screenful() -> None:
    text = lineage_summary(FOUND)

    assert len(text.splitlines()) <= 24
    assert "select" not in text
    assert text.endswith("--full, or --format json")


def test_a_reason_is_traced_to_its_inputs() -> None:
    assert (
        "reason: The loan is high for the income (loan_to_income = 0.5, of annual_income, requested_amount)"
        in lineage_summary(FOUND).splitlines()
    )


def test_the_lines_of_a_file_are_named_and_then_counted() -> None:
    assert (
        "  raw.lender_statements: lines 2, 3, 4, 5, 6, 7, 8, 9 and 4 more of statements.csv"
        in lineage_summary(FOUND).splitlines()
    )


def test_pulled_rows_are_named_by_source_key_and_time() -> None:
    """Their line in a landing file is nothing that the owner of the source could look up."""
    pulled = {
        "file": "loans-20260301T021000000000Z.parquet",
        "line": 2,
        "pulled_from": "postgresql://core.lender.example/core lending.loans",
        "pulled_at": datetime(2026, 3, 1, 2, 10, 0, 5),
        "row_key": "branch, loan_id",
    }
    rows = tuple({**pulled, "branch": "7", "loan_id": str(number)} for number in (41, 42))
    found = replace(FOUND, raw=(Rows("raw.lender_loans", "as received", "select …", rows),))

    assert (
        "  raw.lender_loans: rows branch 7, loan_id 41, branch 7, loan_id 42 of "
        "postgresql://core.lender.example/core lending.loans, pulled 2026-03-01 02:10:00 UTC"
    ) in lineage_summary(found).splitlines()


def test_an_outcome_that_was_reported_over_http_is_named_by_its_report() -> None:
    reports = ({"outcome_id": "o-1", "caller_name": "collections"}, {"outcome_id": "o-2", "caller_name": "collections"})
    found = replace(FOUND, raw=(Rows("serving.reported_outcomes", "reported over HTTP", "select …", reports),))

    assert "  serving.reported_outcomes: reports o-1, o-2 of collections" in lineage_summary(found).splitlines()
