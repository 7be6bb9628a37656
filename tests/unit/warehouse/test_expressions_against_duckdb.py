"""The compiled function equals DuckDB to the bit, on generated expressions and rows, and on cases once found."""

import math
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.unit.warehouse.sql_expressions import COLUMNS, expressions, rows
from warehouse.errors import ExpressionDomainError, ExpressionError
from warehouse.expressions import CompiledSelect, compile_select

_ARROW = {
    "double": pa.float64(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "varchar": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}
_RAISED = (duckdb.OutOfRangeException, duckdb.ConversionException, duckdb.InvalidInputException)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


def bits(value: Any) -> Any:
    """A double by its bits, every NaN the same; anything else with its type, since True equals 1."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack("<d", value)
    return type(value), value


def load(con: duckdb.DuckDBPyConnection, table_rows: Sequence[dict[str, Any]]) -> None:
    """``table_rows`` as the DuckDB table ``inputs``, with their position as ``id``."""
    columns = {name: pa.array([row[name] for row in table_rows], _ARROW[kind]) for name, kind in COLUMNS.items()}
    con.register("batch", pa.table({"id": pa.array(range(len(table_rows)), pa.int32()), **columns}))
    con.execute("create or replace table inputs as select * from batch")
    con.unregister("batch")


def check(con: duckdb.DuckDBPyConnection, sql: str, table_rows: Sequence[dict[str, Any]], counts: Counter[str]) -> None:
    """Compare one expression on all rows with DuckDB: its type, its values, and on which rows it raises."""
    try:
        compiled = compile_select(f"select {sql} as x from inputs", types=COLUMNS)
    except ExpressionError:
        counts["refused"] += 1
        return
    values, raised = evaluate(compiled, table_rows)
    try:
        # rows on which the function raises would stop DuckDB's query too: they are asked for one by one below
        rest = ", ".join(map(str, values))
        found = con.execute(f"select id, {sql} as x from inputs where id in ({rest or -1}) order by id")
        declared = str(found.description[1][1])
        expected = dict(found.fetchall())
    except _RAISED:
        # a constant such as cast(1e300 as integer) stops DuckDB whatever the row: such a model is never built
        with pytest.raises(_RAISED):
            con.execute(f"select {sql} as x from inputs where id = -1")
        counts["DuckDB refuses a constant"] += 1
        return
    except (duckdb.BinderException, duckdb.ParserException):
        counts["not DuckDB's SQL"] += 1
        return

    assert declared in (*compiled.types, '"NULL"'), sql  # DuckDB gives `||` of a constant null no type
    for number, value in values.items():
        assert bits(value) == bits(expected[number]), (
            f"{sql}: {table_rows[number]}: {value!r}, DuckDB {expected[number]!r}"
        )
    for number, error in raised.items():
        check_raises(con, sql, number, error, counts)
    counts["compared"] += len(values)


def evaluate(
    compiled: CompiledSelect, table_rows: Sequence[dict[str, Any]]
) -> tuple[dict[int, Any], dict[int, ExpressionDomainError]]:
    values, raised = {}, {}
    for number, row in enumerate(table_rows):
        try:
            values[number] = compiled(row)[0]
        except ExpressionDomainError as error:
            raised[number] = error
    return values, raised


def check_raises(
    con: duckdb.DuckDBPyConnection, sql: str, number: int, error: ExpressionDomainError, counts: Counter[str]
) -> None:
    """DuckDB must raise too, at least when its optimiser does not skip the part that does."""
    query = f"select {sql} as x from inputs where id = {number}"
    try:
        con.execute(query).fetchall()
    except _RAISED:
        counts["both raise"] += 1
        return
    if any(text in str(error) for text in ("rounds beyond", "outside the years")):
        counts["only the function raises"] += 1  # where DuckDB wraps around, or where Python has no such date
        return
    con.execute("pragma disable_optimizer")
    try:
        found = con.execute(query).fetchall()
    except _RAISED:
        counts["both raise unless optimised"] += 1
    else:
        # a constant null beside it lets DuckDB drop the part that fails even so
        assert found == [(None,)], f"{sql}: row {number}: {error}, but DuckDB gives {found}"
        counts["both raise unless optimised"] += 1
    finally:
        con.execute("pragma enable_optimizer")


def compare_many(
    con: duckdb.DuckDBPyConnection, *, examples: int, n_rows: int, phases: Sequence[Phase] = tuple(Phase)
) -> Counter[str]:
    counts: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(table_rows=rows(n_rows), sqls=expressions_lists())
    def compare(table_rows: list[dict[str, Any]], sqls: list[str]) -> None:
        load(con, table_rows)
        for sql in sqls:
            check(con, sql, table_rows, counts)

    compare()
    return counts


def expressions_lists() -> Any:
    from hypothesis import strategies as st

    return st.lists(expressions(), min_size=12, max_size=12)


def test_generated_expressions_equal_duckdb(con: duckdb.DuckDBPyConnection) -> None:
    counts = compare_many(con, examples=20, n_rows=24)

    assert counts["compared"] > 1_500, counts
    assert counts["refused"] < 0.3 * 20 * 12, counts
