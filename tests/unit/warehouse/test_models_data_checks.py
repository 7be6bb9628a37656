"""Faults planted in a lender's data are found, each in its month; what is only growth, season or chance is not."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import duckdb
import numpy as np
import pytest

from tests.unit.warehouse.macros import macros, model_sql

#: Lender → rows known in each month from January 2020 on; the clock stands in the last one.
GROWN = [round(50 * 1.08**n) for n in range(48)]
SEASONAL = [900 if n % 12 == 11 else 300 for n in range(49)]
STEADY = [300 + 10 * (n % 3) for n in range(30)]
FAULTS = "2022-03-01"  # the 27th month
Found = tuple[str, str, str, str, str]


def _sizes() -> Mapping[str, Sequence[int]]:
    chance = np.random.default_rng(7)
    small = {f"small_{mean}_{n}": chance.poisson(mean, 36).tolist() for mean in (1, 5, 20, 80) for n in range(6)}
    lost = [0 if n == 26 else size for n, size in enumerate(STEADY)]
    tenfold = [10 * size if n == 26 else size for n, size in enumerate(STEADY)]
    faulty = dict.fromkeys(("empty", "renamed", "twice", "delayed", "again"), STEADY)
    begun = [*STEADY[:-1], 40]
    return {"lost": lost, "tenfold": tenfold, **faulty, "grown": GROWN, "seasonal": SEASONAL, "begun": begun, **small}


@pytest.fixture(scope="module")
def lake() -> Iterator[duckdb.DuckDBPyConnection]:
    """The core tables with their faults, and the two models built from them."""
    with duckdb.connect() as con:
        _core_tables(con)
        _plant(con)
        for model in ("data_profile", "data_checks"):
            con.execute(f"create table {model} as {model_sql(model)}")
        yield con


def _core_tables(con: duckdb.DuckDBPyConnection) -> None:
    types = {"text": "varchar"}
    for entity in ("applications", "statements", "outcomes"):
        contract = macros()["contract_of"](entity)
        columns = ", ".join(f"{name} {types.get(kind, kind)}" for name, kind in contract.items())
        con.execute(f"create table int_{entity} (source varchar, {columns}, superseded_at timestamp)")
    sizes = [
        (source, date(2020 + n // 12, n % 12 + 1, 1), size)
        for source, months in _sizes().items()
        for n, size in enumerate(months)
    ]
    con.execute("create table sizes (source varchar, month date, n bigint)")
    con.execute(
        "insert into sizes select unnest($1), unnest($2), unnest($3)", list(map(list, zip(*sizes, strict=True)))
    )
    con.execute(
        """
        insert into int_applications by name
        select
            concat_ws('-', source, month, i) as application_id, concat('b', i) as borrower_id, source,
            month + to_days(cast(i % 27 as integer)) as decided_at, decided_at as known_at,
            1000.0 + i as requested_amount, 36 as term_months, ['car', 'house', 'medical'][1 + i % 3] as purpose,
            case when i % 10 = 3 then null else 30000.0 + i end as annual_income
        from (select source, month, unnest(range(n)) as i from sizes) as rows
        """
    )
    con.execute(
        "create table int_clocks as select source, max(month) + interval 20 day as clock_at from sizes group by 1"
    )


def _plant(con: duckdb.DuckDBPyConnection) -> None:
    of_month = f"date_trunc('month', known_at) = date '{FAULTS}'"
    con.execute(f"update int_applications set annual_income = null where source = 'empty' and {of_month}")
    con.execute(
        "update int_applications set purpose = 'automobile' "
        f"where source = 'renamed' and purpose = 'car' and {of_month}"
    )
    con.execute(
        "insert into int_applications select * replace (application_id || '-again' as application_id) "
        f"from int_applications where source = 'twice' and {of_month} and requested_amount < 1020"
    )
    con.execute(
        f"update int_applications set decided_at = known_at - interval 30 day where source = 'delayed' and {of_month}"
    )


def _anomalies(con: duckdb.DuckDBPyConnection, source: str) -> list[Found]:
    return con.execute(
        "select month::varchar, entity, figure, column_name, category from data_checks "
        "where source = $1 and is_anomaly order by all",
        [source],
    ).fetchall()


@pytest.mark.parametrize(
    ("fault", "figure", "column", "category"),
    [
        ("lost", "volume", "(rows)", ""),
        ("tenfold", "volume", "(rows)", ""),
        ("empty", "missing", "annual_income", ""),
        ("renamed", "category", "purpose", "automobile"),
        ("twice", "duplicates", "(rows)", ""),
        ("delayed", "delay", "(rows)", ""),
    ],
)
def test_a_planted_fault_is_the_only_anomaly(
    lake: duckdb.DuckDBPyConnection, fault: str, figure: str, column: str, category: str
) -> None:
    assert _anomalies(lake, fault) == [(FAULTS, "applications", figure, column, category)]


def test_steady_growth_is_no_anomaly(lake: duckdb.DuckDBPyConnection) -> None:
    assert _anomalies(lake, "grown") == []


def test_a_month_that_is_high_each_year_is_no_anomaly_once_two_earlier_years_are_known(
    lake: duckdb.DuckDBPyConnection,
) -> None:
    found = [month for month, *_ in _anomalies(lake, "seasonal")]

    assert found == ["2021-12-01"]


def test_an_unfinished_month_is_no_fall(lake: duckdb.DuckDBPyConnection) -> None:
    [newest] = lake.execute(
        "select is_finished, value, low from data_checks where source = 'begun' and figure = 'volume' "
        "order by month desc limit 1"
    ).fetchall()

    assert newest == (False, 40.0, None)
    assert _anomalies(lake, "begun") == []


@pytest.mark.parametrize("mean", [1, 5, 20, 80])
def test_chance_alarms_no_small_lender(lake: duckdb.DuckDBPyConnection, mean: int) -> None:
    """Six lenders of so many applications a month, over three years."""
    assert [found for n in range(6) for found in _anomalies(lake, f"small_{mean}_{n}")] == []


def test_nothing_is_judged_before_six_earlier_months(lake: duckdb.DuckDBPyConnection) -> None:
    [(first, of_volume)] = lake.execute(
        "select min(month) filter (where figure = 'missing')::varchar, "
        "min(month) filter (where figure = 'volume')::varchar "
        "from data_checks where source = 'grown'"
    ).fetchall()

    assert (first, of_volume) == ("2020-07-01", "2021-01-01")
