"""A few rows far after all others are found, with the lines that hold them."""

from datetime import datetime

import duckdb
import pytest

from ml.lender_check.newest_months import Month, Tail, ahead_of_files, apart, clock_apart, tail_of


def _months(**counts: int) -> list[Month]:
    return [Month(name[1:].replace("_", "-"), n, 0, 0, 0) for name, n in counts.items()]


def _counts(**counts: int) -> list[tuple[str, int]]:
    return [(each.month, each.n_applications) for each in _months(**counts)]


def test_one_loan_years_after_all_others_stands_apart() -> None:
    assert tail_of(_counts(m2022_11=60, m2022_12=40, m2026_10=1)) == Tail("2022-12", "2026-10", "2026-10", 1, 101)


def test_all_that_comes_after_the_gap_stands_apart() -> None:
    months = _counts(m2022_11=60, m2022_12=40, m2024_05=1, m2026_09=1, m2026_10=1)

    assert tail_of(months) == Tail("2022-12", "2024-05", "2026-10", 3, 103)


@pytest.mark.parametrize(
    "months",
    [
        _counts(m2022_12=100, m2023_03=1),
        # a lender that paused, and one that began with a few loans
        _counts(m2022_12=100, m2024_01=50),
        _counts(m2020_01=1, m2022_12=100),
        _counts(m2022_12=5),
        [],
    ],
    ids=["two months", "paused", "early", "one", "none"],
)
def test_a_short_gap_or_many_loans_after_it_are_nothing(months: list[tuple[str, int]]) -> None:
    assert tail_of(months) is None


def test_the_raw_row_is_found_by_the_loans_id_and_the_year() -> None:
    con = duckdb.connect()
    con.execute("create schema core; create schema raw")
    con.execute(
        "create table core.int_applications as from (values ('mybank', 'mybank-7', timestamp '2026-10-01'), "
        "('mybank', 'mybank-1', timestamp '2022-12-01'), ('other', 'other-9', timestamp '2026-10-01')) "
        "as loans(source, application_id, decided_at)"
    )
    con.execute(
        "create table raw.mybank_loans as from (values ('1', '7', '2022-12-01', 'loans.csv', 2), "
        "('7', '3', '01.10.2026', 'loans.csv', 8)) as rows(loan, term, decided, _file, _line)"
    )

    found = apart(con, "mybank", _months(m2022_12=100, m2026_10=1))

    assert found is not None
    assert found.examples == ("mybank-7 (loans.csv:8)",)
    con.execute("drop table raw.mybank_loans")
    without_rows = apart(con, "mybank", _months(m2022_12=100, m2026_10=1))
    assert without_rows is not None
    assert without_rows.examples == ("mybank-7",)


@pytest.fixture
def known() -> duckdb.DuckDBPyConnection:
    """A lender whose 100 loans, statements and outcomes were known in 2022, loaded in January 2023."""
    con = duckdb.connect()
    con.execute("create schema core; create schema raw; create schema serving")
    con.execute("create table serving.reported_outcomes (source varchar, known_at timestamp)")
    con.execute("create table raw.files as select 'mybank' as source, timestamp '2023-01-10' as loaded_at")
    rows = (
        "select 'mybank' as source, 'mybank-' || i as {id}, timestamp '2022-12-01' as known_at from range(100) as r(i)"
    )
    con.execute(f"create table core.int_applications as {rows.format(id='application_id')}")
    for table, key in (("int_statements", "borrower_id"), ("int_outcome_versions", "application_id")):
        con.execute(f"create table core.{table} as {rows.format(id=key)}")
        con.execute(f"alter table core.{table} add column is_known_by_load boolean default false")
    return con


@pytest.mark.parametrize("table", ["int_applications", "int_statements", "int_outcome_versions"])
def test_every_date_that_moves_the_clock_may_stand_apart_or_ahead(known: duckdb.DuckDBPyConnection, table: str) -> None:
    """A loan still running would count as repaid: its window is over by such a clock."""
    assert (clock_apart(known, "mybank"), ahead_of_files(known, "mybank")) == (None, None)

    key = "borrower_id" if table == "int_statements" else "application_id"
    known.execute(
        f"insert into core.{table} (source, {key}, known_at) "
        "values ('mybank', 'mybank-7', '2031-05-02'), ('other', 'o-1', '2050-01-01')"
    )

    apart_from_all, ahead = clock_apart(known, "mybank"), ahead_of_files(known, "mybank")
    assert apart_from_all is not None
    assert apart_from_all.tail == Tail("2022-12", "2031-05", "2031-05", 1, 301)
    assert apart_from_all.examples[0] == "mybank-7"
    assert ahead is not None
    assert (ahead.n_rows, ahead.newest) == (1, datetime(2031, 5, 2))


def test_what_a_month_says_is_known_when_the_month_is_over(known: duckdb.DuckDBPyConnection) -> None:
    known.execute("insert into core.int_outcome_versions values ('mybank', 'mybank-7', '2023-02-01', false)")

    assert ahead_of_files(known, "mybank") is None


def test_an_outcome_reported_after_the_last_file_is_not_ahead_of_it(known: duckdb.DuckDBPyConnection) -> None:
    known.execute("insert into core.int_outcome_versions values ('mybank', 'mybank-7', '2023-06-01', false)")
    known.execute("insert into serving.reported_outcomes values ('mybank', '2023-06-01')")

    assert ahead_of_files(known, "mybank") is None


def test_a_restated_row_that_is_known_by_its_load_moves_no_clock(known: duckdb.DuckDBPyConnection) -> None:
    known.execute("insert into core.int_statements values ('mybank', 'mybank-7', '2031-05-02', true)")

    assert (clock_apart(known, "mybank"), ahead_of_files(known, "mybank")) == (None, None)
