"""Which months of the cohort rates are built again, by the macro's SQL on tables of a few rows."""

from collections.abc import Iterator

import duckdb
import pytest

from tests.unit.warehouse.macros import macros

SETTINGS = (
    "source varchar, cohort_segments varchar, cohort_months integer, cohort_smoothing double, test_months integer"
)
BEFORE = ("bank", ",all,region,", 12, 50.0, 6)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Two lenders with decisions in three months, whose cohort rates were built; nothing has changed."""
    with duckdb.connect() as con:
        con.execute(
            "create table int_applications as select source || '-' || month as application_id, source, "
            "source || '-1' as borrower_id, make_timestamp(2024, cast(month as bigint), 5, 10, 0, 0) as decided_at "
            "from (values ('bank'), ('other')) as lenders(source), range(1, 4) as months(month)"
        )
        con.execute(
            "create table this_model as select source, date_trunc('day', decided_at) as as_of from int_applications"
        )
        con.execute("create table changes_of_int_applications as from int_applications limit 0")
        con.execute("create table changes_of_int_outcome_versions (application_id varchar, known_at timestamp)")
        con.execute("create table int_outcome_versions as from changes_of_int_outcome_versions")
        for table in ("int_lenders", "changes_of_int_lenders"):
            con.execute(f"create table {table} ({SETTINGS})")
        con.execute("insert into int_lenders values ('bank', ',all,region,', 12, 50, 6), ('other', ',all,', 12, 50, 6)")
        yield con


def _months(con: duckdb.DuckDBPyConnection) -> list[str]:
    affected = macros()["months_of_cohort_rates"]({})
    rows = con.execute(f"select distinct strftime(month, '%Y-%m') as month from ({affected}) order by month").fetchall()
    return [month for (month,) in rows]


def _change(con: duckdb.DuckDBPyConnection, *after: object) -> None:
    """As a change of the lender's row is listed: as it was, and as it is."""
    con.executemany("insert into changes_of_int_lenders values (?, ?, ?, ?, ?)", [list(BEFORE), list(after)])


def test_nothing_changed_affects_no_month(con: duckdb.DuckDBPyConnection) -> None:
    assert _months(con) == []


@pytest.mark.parametrize(
    "after",
    [
        ("bank", ",all,purpose,", 12, 50.0, 6),
        ("bank", ",all,region,", 24, 50.0, 6),
        ("bank", ",all,region,", 12, 20.0, 6),
    ],
    ids=["segments", "months", "smoothing"],
)
def test_a_changed_cohort_setting_affects_every_month_of_its_lender(
    con: duckdb.DuckDBPyConnection, after: tuple[object, ...]
) -> None:
    con.execute("delete from this_model where source = 'other' or month(as_of) > 2")
    con.execute("delete from int_applications where source = 'other' or month(decided_at) > 2")

    _change(con, *after)

    assert _months(con) == ["2024-01", "2024-02"]


def test_a_lender_whose_cohorts_were_not_counted_before_is_built_whole(con: duckdb.DuckDBPyConnection) -> None:
    """A lender that was undated has no row of the table, from which its days could be taken."""
    con.execute("delete from this_model where source = 'bank'")

    _change(con, "bank", "", 12, 50.0, 6)

    assert _months(con) == ["2024-01", "2024-02", "2024-03"]


def test_another_setting_affects_no_month(con: duckdb.DuckDBPyConnection) -> None:
    _change(con, "bank", ",all,region,", 12, 50.0, 3)

    assert _months(con) == []


def test_a_changed_outcome_affects_the_days_after_it_within_the_window(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("insert into changes_of_int_outcome_versions values ('bank-1', '2024-01-20')")
    con.execute("update int_lenders set cohort_months = 1 where source = 'bank'")

    assert _months(con) == ["2024-02"]
