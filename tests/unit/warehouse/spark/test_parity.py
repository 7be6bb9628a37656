"""A difference between the engines is named, and what only looks different is none."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from warehouse.spark.parity import TOLERANCE, compare_model

ROWS = """
    (1, 'a', 1.0::double, date '2024-01-31', null::integer),
    (2, 'b', 0.1::double + 0.2::double, date '2024-02-29', 7),
    (3, null, 'nan'::double, null, 8),
    (4, 'd', 'infinity'::double, null, 9)
"""
TABLE = f"(from (values {ROWS}) as rows(id, word, number, day, whole))"


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("attach ':memory:' as lake; create schema lake.core")
        con.execute(f"create table lake.core.loans as {TABLE}")
        yield con


def found(con: duckdb.DuckDBPyConnection, path: Path, rows: str) -> list[str]:
    """What differs where Spark's table is ``rows``."""
    file = str(path / "part.parquet")
    con.execute(f"copy ({rows}) to '{file}'")
    return [str(difference) for difference in compare_model(con, "core.loans", [file]).differences]


def test_equal_rows_in_another_order_do_not_differ(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert found(con, tmp_path, f"{TABLE} order by id desc") == []


def test_doubles_may_differ_within_the_tolerance_alone(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    within = f"select * replace (number * (1 + {TOLERANCE / 2}) as number) from {TABLE}"
    beyond = f"select * replace (if(id = 1, number * (1 + {TOLERANCE * 2}), number) as number) from {TABLE}"

    assert found(con, tmp_path, within) == []
    assert found(con, tmp_path, beyond) == [
        "core.loans.number: differs: 1: DuckDB 1.0, Spark 1.000000002 (1 rows)",
    ]


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ("if(id = 1, 0, whole) as whole", "whole"),
        ("if(id = 3, '', word) as word", "word"),
        ("if(id = 2, date '2024-03-01', day) as day", "day"),
        ("if(id = 3, null, number) as number", "number"),
        ("if(id = 4, 1e308, number) as number", "number"),
    ],
)
def test_a_null_an_empty_text_and_an_infinity_are_values_of_their_own(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, changed: str, column: str
) -> None:
    differences = found(con, tmp_path, f"select * replace ({changed}) from {TABLE}")

    assert [difference.partition(":")[0] for difference in differences] == [f"core.loans.{column}"]


def test_rows_of_one_engine_are_named(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    rows = f"select * from {TABLE} where id > 1 union all select * replace (9 as id) from {TABLE} where id = 2"

    assert found(con, tmp_path, rows) == [
        "core.loans: rows in DuckDB's table alone: 1 (1 rows)",
        "core.loans: rows in Spark's table alone: 9 (1 rows)",
    ]


def test_equal_rows_count_as_often_as_they_are_there(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute(f"insert into lake.core.loans {TABLE}")

    assert found(con, tmp_path, f"{TABLE} union all {TABLE}") == []
    assert found(con, tmp_path, f"{TABLE} union all select * from {TABLE} where id < 4") == [
        "core.loans: rows in DuckDB's table alone: 4, d, None, 9 (1 rows)",
    ]


def test_columns_must_have_the_same_names_and_types(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    rows = f"select * exclude (day) replace (whole::bigint as whole), 1 as more from {TABLE}"

    assert found(con, tmp_path, rows) == [
        "core.loans.day: must be DATE as in DuckDB's table: found no column",
        "core.loans.whole: must be INTEGER as in DuckDB's table: found BIGINT",
        "core.loans.more: is a INTEGER of Spark's table alone",
    ]


def test_a_table_without_rows_lacks_them_all(con: duckdb.DuckDBPyConnection) -> None:
    assert [str(difference) for difference in compare_model(con, "core.loans", []).differences] == [
        "core.loans: rows in DuckDB's table alone (4 rows)"
    ]
