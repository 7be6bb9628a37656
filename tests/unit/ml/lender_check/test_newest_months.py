"""A few decisions far after all others are found, with the lines that hold them."""

import duckdb
import pytest

from ml.lender_check.newest_months import Month, Tail, apart, tail_of


def _months(**counts: int) -> list[Month]:
    return [Month(name[1:].replace("_", "-"), n, 0, 0, 0) for name, n in counts.items()]


def test_one_loan_years_after_all_others_stands_apart() -> None:
    assert tail_of(_months(m2022_11=60, m2022_12=40, m2026_10=1)) == Tail("2022-12", "2026-10", "2026-10", 1, 101)


def test_all_that_comes_after_the_gap_stands_apart() -> None:
    months = _months(m2022_11=60, m2022_12=40, m2024_05=1, m2026_09=1, m2026_10=1)

    assert tail_of(months) == Tail("2022-12", "2024-05", "2026-10", 3, 103)


@pytest.mark.parametrize(
    "months",
    [
        _months(m2022_12=100, m2023_03=1),
        # a lender that paused, and one that began with a few loans
        _months(m2022_12=100, m2024_01=50),
        _months(m2020_01=1, m2022_12=100),
        _months(m2022_12=5),
        [],
    ],
    ids=["two months", "paused", "early", "one", "none"],
)
def test_a_short_gap_or_many_loans_after_it_are_nothing(months: list[Month]) -> None:
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
