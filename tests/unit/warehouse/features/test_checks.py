"""A row that breaks the contract is found, named and counted; a table that keeps it passes."""

from collections.abc import Iterator

import duckdb
import pytest

from warehouse.errors import ContractError
from warehouse.features.checks import check_features, is_broken_on_record, record_violations
from warehouse.features.columns import FeatureColumn, InputColumn
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import writer
from warehouse.settings import Settings

CONTRACT = FeatureContract(
    version="v1",
    inputs=(InputColumn("income", "double", "Income.", "request"),),
    features=(
        FeatureColumn("loan_to_income", "double", "Loan over income.", "numeric", range=(0.0, 100.0), reason="r"),
        FeatureColumn("n_open_accounts", "integer", "Open accounts.", "numeric", range=(0.0, 200.0), reason="r"),
        FeatureColumn("purpose", "varchar", "Purpose.", "categorical", values=("car", "house"), reason="r"),
        FeatureColumn("income_verified", "boolean", "Verified.", "boolean", reason="r"),
    ),
    sql="",
)
GOOD = "('{id}', 'b-1', 'simulated', timestamp '2026-01-01', 0.5, 3, 'car', true)"


@pytest.fixture
def con(home: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with writer("a test", home) as connection:
        connection.execute(
            "create table features.ftr_application_v1 (application_id varchar, borrower_id varchar, source varchar, "
            "decided_at timestamp, loan_to_income double, n_open_accounts integer, purpose varchar, "
            "income_verified boolean)"
        )
        connection.execute("create table features.ftr_application_inputs (income double)")
        yield connection


def plant(con: duckdb.DuckDBPyConnection, *rows: str) -> None:
    values = ", ".join([GOOD.format(id="a-1"), GOOD.format(id="a-2"), *rows])
    con.execute(f"insert into features.ftr_application_v1 values {values}")


def found(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, int, list[str | None]]]:
    result = check_features(con, CONTRACT)
    return [(v.column_name, v.rule, v.n_failed, v.examples) for v in result.violations]


def test_rows_that_keep_the_contract_pass_missing_values_included(con: duckdb.DuckDBPyConnection) -> None:
    plant(con, "('a-3', 'b-1', 'simulated', timestamp '2026-01-01', null, null, null, null)")

    result = check_features(con, CONTRACT)

    assert result.passed
    assert str(result) == "features.ftr_application_v1: 3 rows keep the contract"


@pytest.mark.parametrize(
    ("row", "column", "rule", "example"),
    [
        (
            "('a-3', 'b', 's', timestamp '2026-01-01', 100.5, 3, 'car', true)",
            "loan_to_income",
            "within [0, 100]",
            "a-3",
        ),
        (
            "('a-3', 'b', 's', timestamp '2026-01-01', 'nan', 3, 'car', true)",
            "loan_to_income",
            "within [0, 100]",
            "a-3",
        ),
        (
            "('a-3', 'b', 's', timestamp '2026-01-01', 'inf', 3, 'car', true)",
            "loan_to_income",
            "within [0, 100]",
            "a-3",
        ),
        (
            "('a-3', 'b', 's', timestamp '2026-01-01', 0.5, -1, 'car', true)",
            "n_open_accounts",
            "within [0, 200]",
            "a-3",
        ),
        (
            "('a-3', 'b', 's', timestamp '2026-01-01', 0.5, 3, 'Car', true)",
            "purpose",
            "one of the allowed values",
            "a-3",
        ),
        ("(null, 'b', 's', timestamp '2026-01-01', 0.5, 3, 'car', true)", "application_id", "not missing", None),
        ("('a-3', null, 's', timestamp '2026-01-01', 0.5, 3, 'car', true)", "borrower_id", "not missing", "a-3"),
        ("('a-3', 'b', 's', null, 0.5, 3, 'car', true)", "decided_at", "not missing", "a-3"),
    ],
)
def test_a_planted_bad_value_is_found(
    con: duckdb.DuckDBPyConnection, row: str, column: str, rule: str, example: str | None
) -> None:
    plant(con, row)

    assert found(con) == [(column, rule, 1, [example])]


def test_a_repeated_application_is_found(con: duckdb.DuckDBPyConnection) -> None:
    plant(con, GOOD.format(id="a-2"), GOOD.format(id="a-2"))

    assert found(con) == [("application_id", "unique", 3, ["a-2"])]


def test_failures_of_all_columns_and_chunks_are_collected(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.features.checks._CHUNK_ROWS", 2)
    bad = "('{id}', 'b', 's', timestamp '2026-01-01', -1, 3, 'boat', true)"
    plant(con, *(bad.format(id=f"bad-{number}") for number in range(7)))

    violations = found(con)

    assert [(column, n_failed) for column, _, n_failed, _ in violations] == [("loan_to_income", 7), ("purpose", 7)]
    assert violations[0][3] == [f"bad-{number}" for number in range(5)]


def test_a_column_of_another_type_stops_the_check(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("alter table features.ftr_application_v1 alter n_open_accounts type bigint")

    with pytest.raises(ContractError, match=r"n_open_accounts INTEGER \(found BIGINT\)"):
        check_features(con, CONTRACT)


def test_an_input_of_another_type_stops_the_check(con: duckdb.DuckDBPyConnection) -> None:
    """A request would be read as the contract declares it: online and offline values would not be the same."""
    con.execute("create or replace table features.ftr_application_inputs (income integer)")

    with pytest.raises(ContractError, match=r"ftr_application_inputs must have .*: income DOUBLE \(found INTEGER\)"):
        check_features(con, CONTRACT)


def test_violations_are_recorded_with_examples(con: duckdb.DuckDBPyConnection) -> None:
    plant(con, "('a-3', 'b', 's', timestamp '2026-01-01', 0.5, 3, 'boat', true)")

    record_violations(con, check_features(con, CONTRACT))

    rows = con.execute(
        "select table_name, feature_version, column_name, rule, n_failed, n_rows, examples "
        "from monitoring.contract_violations"
    ).fetchall()
    assert rows == [
        ("features.ftr_application_v1", "v1", "purpose", "one of the allowed values", 1, 3, '["a-3"]'),
    ]


def test_a_later_check_marks_what_it_found_no_more(con: duckdb.DuckDBPyConnection) -> None:
    """Its alert would otherwise stay open for ever."""
    plant(con, "('a-3', 'b', 's', timestamp '2026-01-01', 0.5, 3, 'boat', true)")
    broken = check_features(con, CONTRACT)
    con.execute("delete from features.ftr_application_v1 where application_id = 'a-3'")

    record_violations(con, broken)
    before = is_broken_on_record(con, broken.table_name)
    record_violations(con, check_features(con, CONTRACT))

    assert (before, is_broken_on_record(con, broken.table_name)) == (True, False)
    assert con.execute("select n_failed, mended_at is null from monitoring.contract_violations").fetchall() == [
        (1, False)
    ]
