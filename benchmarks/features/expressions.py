"""Row-level features of one application: the compiled function against one DuckDB query on a one-row table.

Both compute the same 60 features (ratios, cases, logarithms, month differences) from the same values, and their answers
are compared to the bit before anything is timed. Compiling, once at deployment, is beside DuckDB's own preparing of the
same select; the time of a row is also compared with its promise.
"""

import statistics
import time
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import duckdb

from benchmarks.comparison import Comparison
from warehouse.features.expressions import compile_select

N_GROUPS = 10
PROMISED_MICROSECONDS = 50.0
_ROUNDS = 30
_PATTERNS = (
    "a{0} / nullif(b{0}, 0) as ratio_{0}",
    "case when ratio_{0} > 100 then 100 when ratio_{0} < -100 then -100 else ratio_{0} end as bounded_{0}",
    "ln(1 + greatest(a{0}, 0)) as log_{0}",
    "coalesce(n{0}, 0) as n_known_{0}",
    "case when code{0} in ('car', 'house') then a{0} - b{0} else coalesce(b{0}, 0) end as gap_{0}",
    "date_diff('month', opened_on, decided_at) / nullif(n{0}, 0) as months_each_{0}",
)


def run() -> list[Comparison]:
    """Median time of one row."""
    types, row = _inputs()
    features = [pattern.format(group) for group in range(N_GROUPS) for pattern in _PATTERNS]
    sql = f"select {', '.join(features)} from inputs"
    compiled = compile_select(sql, types=types)

    with duckdb.connect(config={"threads": 1}) as con:
        con.execute(f"create table inputs ({', '.join(f'{name} {kind}' for name, kind in types.items())})")
        con.execute(f"insert into inputs values ({', '.join('?' for _ in types)})", list(row.values()))
        if con.execute(sql).fetchone() != compiled(row):
            raise ValueError("the compiled features differ from DuckDB's: there is nothing to time")
        query = _microseconds(lambda: con.execute(sql).fetchone(), calls=5)
        function = _microseconds(lambda: compiled(row), calls=500)
        preparing = _microseconds(lambda: con.execute(f"prepare features as {sql}"), calls=1) / 1000
    compiling = _microseconds(lambda: compile_select(sql, types=types), calls=1) / 1000
    what = f"{len(features)} row-level features"
    return [
        Comparison(what, "one DuckDB query", "µs a row", function, query, False),
        Comparison(what, "promised", "µs a row", function, PROMISED_MICROSECONDS, False),
        Comparison(f"compiling {what}", "DuckDB's prepare", "ms", compiling, preparing, False),
    ]


def _inputs() -> tuple[dict[str, str], dict[str, Any]]:
    types, row = {"opened_on": "date", "decided_at": "timestamp"}, {}
    row |= {"opened_on": date(2001, 2, 28), "decided_at": datetime(2011, 7, 1, 9, 30)}
    for group in range(N_GROUPS):
        types |= {f"a{group}": "double", f"b{group}": "double", f"n{group}": "integer", f"code{group}": "varchar"}
        row |= {f"a{group}": 1200.5 * group, f"b{group}": 37.25, f"n{group}": group, f"code{group}": "car"}
    return types, row


def _microseconds(call: Callable[[], Any], *, calls: int) -> float:
    def one_round() -> float:
        started = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - started) / calls * 1e6

    return statistics.median(one_round() for _ in range(_ROUNDS))
