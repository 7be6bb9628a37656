"""The features' own SQL, in DuckDB and compiled, where its arithmetic is at its limits."""

from collections.abc import Sequence

import duckdb
import pytest
import sqlglot

from tests.unit.warehouse.macros import macros
from warehouse.features.expressions import compile_select

TYPES = {"requested_amount": "double", "term_months": "integer", "annual_rate": "double", "annual_income": "double"}


def payments(rates: Sequence[float], *, amount: float = 10_000.0, months: int = 36) -> list[float]:
    """The monthly payment at each rate; the feature is its share of a monthly income of the same amount."""
    select = sqlglot.parse_one(f"select {macros()['features_since_1']()} from inputs", dialect="duckdb")
    (payment,) = [column.this.sql("duckdb") for column in select.expressions if column.alias == "payment_to_income"]
    sql = f"select {payment} as payment from inputs"
    rows = [dict(zip(TYPES, (amount, months, rate, 12 * amount), strict=True)) for rate in rates]
    compiled = compile_select(sql, types=TYPES)
    with duckdb.connect() as con:
        con.execute(
            "create table inputs (" + ", ".join(f"{name} {kind}" for name, kind in TYPES.items()) + ", n integer)"
        )
        con.executemany("insert into inputs values (?, ?, ?, ?, ?)", [[*row.values(), n] for n, row in enumerate(rows)])
        found = [value for (value,) in con.execute(f"{sql} order by n").fetchall()]

    assert found == [compiled(row)[0] for row in rows]
    return [value * amount for value in found]


def test_a_loan_with_next_to_no_interest_costs_its_principal() -> None:
    assert payments([0.0, 1e-17, 1e-14, 1e-9]) == pytest.approx([10_000 / 36] * 4, rel=1e-8)


def test_the_payment_grows_with_the_rate_where_its_formula_changes() -> None:
    """36 payments of 10,000 x i / (1 - (1 + i)^-36), by 50 digits: at 2.7e-6 and 2.8e-6 a year, and at 12 %."""
    low, high, usual = payments([2.7e-6, 2.8e-6, 0.12])

    assert low == pytest.approx(277.7789340280, rel=1e-9)
    assert high == pytest.approx(277.7789768535, rel=1e-9)
    assert usual == pytest.approx(332.1430981279, rel=1e-9)


def test_a_sum_of_amounts_is_exact_or_an_error() -> None:
    """An amount that decimals do not hold was left out, and the sum of 100 and 2e16 was 100."""
    total = macros()["exact_sum"]("amount", "true")
    with duckdb.connect() as con:
        con.execute("create table amounts as select unnest([0.1, 0.2, 1e9, -1e9]) as amount")
        exact = con.execute(f"select {total} from amounts").fetchone()
        con.execute("insert into amounts values (2e16)")

        with pytest.raises(duckdb.ConversionException):
            con.execute(f"select {total} from amounts")

    assert exact == (0.3,)
