"""Decisions dated apart from all others: one wrong date far ahead moves the lender's clock, and labels with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import duckdb

from warehouse.sql.quoting import identifier

#: Months without a decision, and the largest share of all loans that come after them.
_GAP_MONTHS, _FEW = 3, 0.05
_SHOWN = 3


@dataclass(frozen=True)
class Month:
    """The applications of one month: how many have an outcome, a label, and a default among the labels."""

    month: str
    n_applications: int
    n_outcomes: int
    n_labels: int
    n_defaults: int


class Tail(NamedTuple):
    """The months apart: the last month before them, their first and last, and the share they have."""

    before: str
    first: str
    last: str
    n_rows: int
    n_all: int


@dataclass(frozen=True)
class Apart:
    """The tail, and some of its loans, each with its file and line where they were found in the raw rows."""

    tail: Tail
    examples: tuple[str, ...]


def tail_of(months: Sequence[Month]) -> Tail | None:
    """The last few loans, if several months without any lie before them.

    Months are in order; of several gaps, the first that leaves few loans counts.
    """
    n_all, so_far = sum(each.n_applications for each in months), 0
    for before, after in pairwise(months):
        so_far += before.n_applications
        if _number(after.month) - _number(before.month) > _GAP_MONTHS and n_all - so_far <= _FEW * n_all:
            return Tail(before.month, after.month, months[-1].month, n_all - so_far, n_all)
    return None


def apart(con: duckdb.DuckDBPyConnection, source: str, months: Sequence[Month]) -> Apart | None:
    """The decisions that stand apart from all others, or None."""
    tail = tail_of(months)
    if tail is None:
        return None
    loans = con.execute(
        "select application_id, strftime(decided_at, '%Y') from core.int_applications where source = ? "
        f"and strftime(decided_at, '%Y-%m') >= ? order by decided_at desc, application_id limit {_SHOWN}",
        [source, tail.first],
    ).fetchall()
    return Apart(tail, tuple(f"{loan}{_place(con, source, loan, year)}" for loan, year in loans))


def _place(con: duckdb.DuckDBPyConnection, source: str, loan: str, year: str) -> str:
    """The raw row that has the loan's id, or the end of it, and the year of the wrong date."""
    ids = [loan, *(loan.split("-", parts)[-1] for parts in range(1, loan.count("-") + 1))]
    columns = con.execute(
        "select table_name, list(column_name) from information_schema.columns where table_schema = 'raw' "
        "and starts_with(table_name, ?) and not starts_with(column_name, '_') group by table_name order by table_name",
        [f"{source}_"],
    ).fetchall()
    for table, names in columns:
        values = f"[{', '.join(f'cast({identifier(name)} as varchar)' for name in names)}]"
        found = con.execute(
            f"select _file, _line from (select _file, _line, {values} as texts from raw.{identifier(table)}) "
            "where list_has_any(texts, ?) and len(list_filter(texts, text -> contains(text, ?))) > 0 "
            "order by _file, _line limit 1",
            [ids, year],
        ).fetchone()
        if found is not None:
            return f" ({found[0]}:{found[1]})"
    return ""


def _number(month: str) -> int:
    year, number = month.split("-")
    return 12 * int(year) + int(number)
