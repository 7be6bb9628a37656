"""Hypothesis strategies: typed row-level SQL over the columns of :data:`COLUMNS`, and rows of values at the edges."""

import math
from datetime import date, datetime
from typing import Any

from hypothesis import strategies as st

COLUMNS = {
    "d1": "double",
    "d2": "double",
    "i1": "integer",
    "i2": "integer",
    "b1": "bigint",
    "t1": "varchar",
    "t2": "varchar",
    "f1": "boolean",
    "f2": "boolean",
    "on1": "date",
    "on2": "date",
    "at1": "timestamp",
}

_EDGE_DOUBLES = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0.49999999999999994, 100.0, 1e-300, 5e-324, 1e308, -1e308,
    math.inf, -math.inf, math.nan, 2147483647.0, -2147483648.0, 2147483648.0, 9007199254740993.0, 9.3e18, 0.1,
    12345.678,
]  # fmt: skip
_EDGE_TEXTS = [
    "",
    " ",
    "a",
    "A",
    " a ",
    "car",
    "Car",
    "straße",
    "ŉ",
    "ᾀ",
    "İ",
    "ΑΣ",
    "\u00a0x\u3000",
    "x\t",
    "😀é",
    "É",
]
_EDGE_DATES = [
    date(1, 1, 1),
    date(9999, 12, 31),
    date(2024, 2, 29),
    date(2023, 2, 28),
    date(1969, 12, 31),
    date(2000, 3, 31),
]
_EDGE_TIMES = [
    datetime(2024, 2, 29, 23, 59, 59, 999999),
    datetime(1969, 12, 31, 23, 59, 59, 1),
    datetime(1970, 1, 1),
    datetime(2011, 7, 1, 12, 0, 0, 500000),
]

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "double": st.sampled_from(_EDGE_DOUBLES) | st.floats() | st.floats(-1e6, 1e6),
    "integer": st.sampled_from([0, 1, -1, 2, 3, -7, 2**31 - 1, -(2**31)]) | st.integers(-1000, 1000),
    "bigint": st.sampled_from([0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]) | st.integers(-(10**6), 10**6),
    "varchar": st.sampled_from(_EDGE_TEXTS) | st.text(max_size=4),
    "boolean": st.booleans(),
    "date": st.sampled_from(_EDGE_DATES) | st.dates(),
    "timestamp": st.sampled_from(_EDGE_TIMES) | st.datetimes(),
}


def rows(n_rows: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of values of :data:`COLUMNS`, a fifth of them null."""

    def value(data_type: str) -> st.SearchStrategy[Any]:
        return st.integers(0, 4).flatmap(lambda n: st.none() if n == 0 else _VALUES[data_type])

    row = st.fixed_dictionaries({name: value(data_type) for name, data_type in COLUMNS.items()})
    return st.lists(row, min_size=n_rows, max_size=n_rows)


def expressions() -> st.SearchStrategy[str]:
    """SQL of any type; most of it is accepted by the compiler, and some refused on purpose."""
    return st.sampled_from(sorted(_MAKERS)).flatmap(lambda data_type: _expression(data_type, 3))


@st.composite
def _expression(draw: Any, data_type: str, depth: int) -> str:
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(_LEAVES[data_type])

    def sub(sub_type: str) -> str:
        text = draw(_expression(sub_type, depth - 1))
        # without parentheses now and then: both parsers must agree on what binds tighter
        return text if draw(st.integers(0, 3)) == 0 else f"({text})"

    template = draw(st.sampled_from(_MAKERS[data_type] + _ANY_TYPE))
    out = []
    for part in template.split(" "):
        if part in _PLACEHOLDERS:
            placeholder = _PLACEHOLDERS[part]
            out.append(sub(data_type if placeholder == "same" else draw(st.sampled_from(placeholder.split("|")))))
        else:
            out.append(part)
    return " ".join(out)


_LEAVES = {
    "double": st.sampled_from(
        ["d1", "d2", "d1", "d2", "0.5", "1.0", "0.1", "2.25", "1e0", "0e0", "1e300", "1e-3", "12.0"]
    ),
    "integer": st.sampled_from(["i1", "i2", "i1", "0", "1", "2", "7", "2147483647"]),
    "bigint": st.sampled_from(["b1", "b1", "2147483648", "9007199254740993", "cast(i1 as bigint)"]),
    "varchar": st.sampled_from(["t1", "t2", "'a'", "'car'", "''", "' A'", "'it''s'"]),
    "boolean": st.sampled_from(["f1", "f2", "true", "false", "i1 > 0", "d1 is null"]),
    "date": st.sampled_from(["on1", "on2", "date '2024-02-29'", "date '1999-12-31'"]),
    "timestamp": st.sampled_from(["at1", "timestamp '2024-02-29 12:00:00.25'", "cast(on1 as timestamp)"]),
}

# words between spaces that stand for a sub-expression of one of these types
_PLACEHOLDERS = {
    "$": "same",
    "$D": "double",
    "$N": "double|integer|bigint",
    "$I": "integer",
    "$W": "integer|bigint",
    "$T": "varchar",
    "$F": "boolean",
    "$O": "date",
    "$M": "date|timestamp",
}
_ANY_TYPE = [
    "case when $F then $ else $ end",
    "case when $F then $ when $F then $ end",
    "case $N when $N then $ when 1 then $ else $ end",
    "case $T when 'a' then $ when $T then $ end",
    "coalesce( $ , $ )",
    "coalesce( $ , $ , $ )",
    "nullif( $ , $ )",
    "greatest( $ , $ )",
    "greatest( $ , null, $ )",
    "least( $ , $ , $ )",
    "if( $F , $ , $ )",
]
_MAKERS = {
    "double": [
        "$D + $N", "$N - $D", "$D * $N", "$N / $N", "$D % $N", "- $D", "- $N / $D", "abs( $D )", "ln( $N )",
        "log10( $N )", "log( $N )",
        "log2( $D )", "exp( $N )", "sqrt( $N )", "pow( $N , $N )", "pow( $D , 2)", "pow( $D , 0.5)", "floor( $N )",
        "ceil( $D )", "round( $D )", "round( $D , 2)", "round( $D , -1)", "round( $D , 0)", "greatest( $D , $N )",
        "least( $N , $D )", "coalesce( $D , 0)", "coalesce( $D , $W )", "nullif( $D , 0)", "cast( $N as double)",
        "cast( $F as double)", "cast(sign( $N ) as double)", "ln(greatest( $N , 1e0))", "$N / nullif( $N , 0)",
        "case when $F then $D else $W end", "case when $F then 0.5 else 2.25 end * $D",
        "cast(case when $F then 0.5 else 1 end as double)", "cast('nan' as double)", "cast('-inf' as double)",
        "try_cast( $W as double)", "$D - $D - $D", "$D - $N * $D",
    ],
    "integer": [
        "$I + $I", "$I - $I", "$I * $I", "- $I", "abs( $I )", "$I // $I", "$I % $I", "cast( $D as integer)",
        "try_cast( $D as integer)", "try_cast( $W as integer)", "cast( $W as integer)", "cast( $F as integer)",
        "cast(sign( $N ) as integer)", "round( $I )", "coalesce( $I , 0)", "nullif( $I , 0.0)", "$I // 0",
        "$I * $I % $I", "$I - $I - $I",
    ],
    "bigint": [
        "$W + $W + b1", "b1 - $W", "b1 * $I", "$I + b1", "date_diff('month', $M , $M )", "date_diff('day', $M , $M )",
        "date_diff('year', $M , $M )", "datediff('day', $M , $M )",
        "date_diff('quarter', $M , $M )", "$O - $O", "length( $T )", "year( $M )",
        "month( $M )", "day( $M )", "quarter( $M )", "dayofweek( $M )", "isodow( $M )", "dayofyear( $M )",
        "extract(month from $M )", "cast( $D as bigint)", "try_cast( $D as bigint)", "b1 // $W", "b1 % $W", "abs(b1)",
        "case when $F then b1 else $I end",
    ],
    "varchar": [
        "lower( $T )", "upper( $T )", "trim( $T )", "left( $T , 2)", "left( $T , 0)", "$T || $T", "$T || $T || 'x'",
        "cast( $W as varchar)",
        "cast( $F as varchar)", "cast( $O as varchar)", "cast(at1 as varchar)", "lower(trim( $T ))",
    ],
    "boolean": [
        "$N < $N", "$N <= $N", "$N > $N", "$N >= $N", "$N = $N", "$N <> $N", "$N > 0.5", "0.1 < $W", "$W = 3.0",
        "$T = $T",
        "$T < $T", "$M < $M", "$M = $M", "$F = $F", "not $F", "$F and $F", "$F or $F", "$F and $F or $F",
        "not $F and $F",
        "$N between $N and $N", "$N not between 1 and $N", "$T between 'a' and $T", "$N in (1, 2.5, 3)",
        "$D in (0, 1e0)",
        "$W not in (0, 1, null)", "$T in ('a', 'car')", "$T in ('a', null)", "$N is null", "$T is not null",
        "$F is true",
        "$F is not false", "$N is distinct from $N", "$N is not distinct from $N", "$T is distinct from $T",
        "cast( $N as boolean)", "$F is null or $F", "not $N = $N", "not $N is null", "$N = $N is null",
        "$O in (date '2024-02-29')",
    ],
    "date": ["cast( $M as date)", "$O + $I", "$O - 1", "$O + 366"],
    "timestamp": ["cast( $M as timestamp)", "case when $F then $O else at1 end", "greatest( $O , at1)"],
}  # fmt: skip
