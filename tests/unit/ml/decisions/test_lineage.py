"""From which inputs a decision's features are made."""

from datetime import date, datetime

import duckdb

from ml.decisions.lineage import features_of, staging_lines
from warehouse.features.columns import FeatureColumn, InputColumn
from warehouse.features.contract import FeatureContract


def test_a_feature_made_of_features_lists_all_their_inputs() -> None:
    contract = FeatureContract(
        version="v1",
        inputs=tuple(InputColumn(name, "double", name, "request") for name in ("amount", "income", "rate", "term")),
        features=tuple(
            FeatureColumn(name, "double", name, "numeric", range=(0, 10), reason=name)
            for name in ("loan_to_income", "interest_to_income", "years")
        ),
        sql="select amount / income as loan_to_income, loan_to_income * rate * term as interest_to_income, "
        "term / 12 as years from inputs",
    )

    found = features_of(contract, {"loan_to_income": 0.5, "interest_to_income": 0.1, "years": 3.0})

    assert {feature.name: feature.inputs for feature in found} == {
        "loan_to_income": ("amount", "income"),
        "interest_to_income": ("amount", "income", "rate", "term"),
        "years": ("term",),
    }


def test_the_line_of_a_version_is_found_whatever_its_time_of_load_ends_with() -> None:
    """One load of ten has a last microsecond of zero, which DuckDB leaves out of the time's text."""
    loaded_at = datetime(2026, 12, 1, 16, 5, 18, 543_850)
    version = {"borrower_id": "b-1", "statement_on": date(2025, 7, 4), "loaded_at": loaded_at}
    with duckdb.connect() as con:
        con.execute("create schema staging")
        con.execute(
            "create table staging.stg_bank__statements as "
            "select 'b-1' as borrower_id, date '2025-07-04' as statement_on, unnest([$1, $2]) as _loaded_at",
            [loaded_at, datetime(2026, 12, 2)],
        )

        found = con.execute(staging_lines("bank", "statements", [version])).fetchall()

    assert found == [("b-1", date(2025, 7, 4), loaded_at)]
