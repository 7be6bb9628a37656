"""Rows of features from outside are refused where the API would refuse the request behind them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.bundle.feature_violations import find_violations
from tests.model_factory import CONTRACT, input_rows

GOOD: dict[str, Any] = {"requested_amount": 12_000.0, "term_months": 36, "purpose": "car", "income_verified": True}


def violations(**values: Any) -> list[str]:
    return find_violations(pd.DataFrame([GOOD | values]), CONTRACT)


def test_rows_of_the_feature_table_break_no_rule() -> None:
    rows = pd.DataFrame(input_rows(200))
    frame = rows[
        [name for name in CONTRACT.feature_names if name in rows] + ["application_id", "borrower_id", "source"]
    ]

    assert find_violations(frame, CONTRACT) == []


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_what_is_missing_breaks_no_rule(missing: object) -> None:
    assert violations(**dict.fromkeys(GOOD, missing)) == []


def test_a_truth_value_may_be_a_number_as_pandas_makes_it_beside_a_missing_one() -> None:
    assert find_violations(pd.DataFrame({"income_verified": [1.0, 0.0, float("nan")]}), CONTRACT) == []


def test_an_unknown_name_is_told_with_the_one_that_was_meant() -> None:
    assert violations(loan_to_incom=0.2) == [
        "'loan_to_incom' is not a feature of this model; did you mean loan_to_income?"
    ]


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("purpose", "yacht", "one of car, debt_consolidation, other"),
        ("loan_to_income", float("inf"), "a finite number"),
        ("loan_to_income", 1e39, "a finite number"),
        ("loan_to_income", "0.2", "a finite number"),
        ("loan_to_income", True, "a finite number"),
        ("requested_amount", 5.0, "a finite number from 100 to 100,000"),
        ("term_months", 36.5, "a whole number from 1 to 480"),
        ("term_months", 0, "a whole number from 1 to 480"),
        ("income_verified", 2.0, "true or false"),
        ("income_verified", "true", "true or false"),
    ],
)
def test_a_value_that_a_request_could_not_have_is_told_with_its_row(name: str, value: object, rule: str) -> None:
    assert violations(**{name: value}) == [f"row 1: {name} must be {rule}, or null: found {str(value)!r}"]


def test_a_long_column_is_told_by_its_wrong_rows_alone() -> None:
    amounts = np.full(1_000, 12_000.0)
    amounts[[3, 500]] = np.inf, np.nan

    assert find_violations(pd.DataFrame({"requested_amount": amounts}), CONTRACT) == [
        "row 4: requested_amount must be a finite number from 100 to 100,000, or null: found 'inf'"
    ]


def test_of_many_violations_the_first_twenty_are_told() -> None:
    found = find_violations(pd.DataFrame({"purpose": ["yacht"] * 1_000}), CONTRACT)

    assert (len(found), found[-1]) == (21, "and 980 more")


def test_rows_without_any_feature_are_refused() -> None:
    assert find_violations(pd.DataFrame([{"application_id": "a"}]), CONTRACT) == [
        "none of the 8 features is there: columns must be named as in the contract"
    ]
