"""What a query prints, in each format, and what its errors say."""

import csv
import io
import json
from collections.abc import Iterator

import duckdb
import pytest

from warehouse.errors import QueryError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings
from warehouse.sql.query import GROUP, Format, run_query


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        yield con


def printed(con: duckdb.DuckDBPyConnection, query: str, form: Format = "table") -> str:
    output = io.StringIO()
    run_query(con, query, output, form=form)
    return output.getvalue()


def test_a_table_aligns_numbers_right_and_counts_its_rows(con: duckdb.DuckDBPyConnection) -> None:
    text = printed(con, "select * from (values ('loans', 42535), ('ü', null)) as t(entity, n_rows) order by all")

    assert text == "entity  n_rows\n------  ------\nloans    42535\nü         NULL\n(2 rows)\n"


def test_a_table_keeps_a_row_on_one_line(con: duckdb.DuckDBPyConnection) -> None:
    assert printed(con, "select E'a\\nb' as note").splitlines()[2] == "a\\nb"


def test_an_empty_result_still_shows_its_columns(con: duckdb.DuckDBPyConnection) -> None:
    assert printed(con, "select 1 as a where false") == "a\n-\n(0 rows)\n"


def test_every_row_of_a_result_larger_than_a_group_is_printed(con: duckdb.DuckDBPyConnection) -> None:
    lines = printed(con, f"select range as a from range({GROUP * 2 + 1})").splitlines()

    assert (len(lines), lines[-2].strip(), lines[-1]) == (GROUP * 2 + 4, str(GROUP * 2), f"({GROUP * 2 + 1:,} rows)")


def test_json_is_a_list_of_objects_that_any_reader_takes(con: duckdb.DuckDBPyConnection) -> None:
    query = """
    select 1 as n, 1.50::decimal(9, 2) as exact, 'nan'::double as nan, 'inf'::double as inf, null as missing,
        timestamp '2011-12-01 10:30:00' as at, date '2011-12-01' as day, true as yes, [1, 2] as list,
        {'a': 1} as struct,
        170141183460469231731687303715884105727::hugeint as huge
    """

    rows = json.loads(printed(con, query, "json"), parse_constant=pytest.fail)

    assert rows == [
        {
            "n": 1,
            "exact": 1.5,
            "nan": None,
            "inf": None,
            "missing": None,
            "at": "2011-12-01T10:30:00",
            "day": "2011-12-01",
            "yes": True,
            "list": [1, 2],
            "struct": {"a": 1},
            "huge": 2**127 - 1,
        }
    ]


def test_json_of_no_rows_is_an_empty_list(con: duckdb.DuckDBPyConnection) -> None:
    assert json.loads(printed(con, "select 1 as a where false", "json")) == []


def test_json_keeps_columns_of_the_same_name_apart(con: duckdb.DuckDBPyConnection) -> None:
    assert json.loads(printed(con, "select 1 as a, 2 as a, 3 as a", "json")) == [{"a": 1, "a_2": 2, "a_3": 3}]


def test_csv_quotes_what_needs_it_and_leaves_null_empty(con: duckdb.DuckDBPyConnection) -> None:
    text = printed(con, "select E'say \"a, b\"\\n' as said, null as missing, true as yes, 0.1 as x", "csv")

    assert list(csv.DictReader(io.StringIO(text))) == [
        {"said": 'say "a, b"\n', "missing": "", "yes": "true", "x": "0.1"}
    ]


def test_doubles_survive_csv_to_the_bit(con: duckdb.DuckDBPyConnection) -> None:
    text = printed(con, "select 0.1::double + 0.2::double as x", "csv")

    assert float(text.splitlines()[1]) == 0.1 + 0.2


def test_several_statements_run_in_order(con: duckdb.DuckDBPyConnection) -> None:
    assert printed(con, "set threads = 1; select 1 as a; select 2 as b;", "csv") == "Success\na\n1\nb\n2\n"


def test_an_error_keeps_duckdbs_own_pointer_to_the_place(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(QueryError, match=r"(?s)syntax error at or near \"selec\".*\^"):
        printed(con, "selec 1")


def test_an_empty_query_is_an_error(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(QueryError, match="must hold a statement"):
        printed(con, " -- nothing\n")


@pytest.mark.parametrize(
    "statement",
    [
        "insert into raw.files (source) values ('x')",
        "delete from raw.files",
        "create table core.mine as select 1 as a",
        "drop table raw.files",
        "call ducklake_expire_snapshots('lake', older_than => now())",
        "delete from __ducklake_metadata_lake.ducklake_snapshot",
    ],
)
def test_what_would_change_the_lake_is_refused_with_the_way_to_write(home: Settings, statement: str) -> None:
    with writer("a test", home):
        pass

    with (
        connect(home) as con,
        pytest.raises(QueryError, match=r"only reads the lake.*loanlake ingest.*\.writer"),
    ):
        printed(con, statement)
