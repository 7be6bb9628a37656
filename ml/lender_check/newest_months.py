"""Rows dated apart from all others: one wrong date far ahead moves the lender's clock, and labels with it.

Decisions have their own months. The clock is the newest ``known_at`` of applications, statements and outcomes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

import duckdb

from warehouse.sql.quoting import identifier

#: Months without a decision, and the largest share of all loans that come after them.
_GAP_MONTHS, _FEW = 3, 0.05
_SHOWN = 3
#: What is known by a month is known when the month is over, at most this long after the file that says it.
_AFTER_LOAD = "interval 32 days"
#: Every row that moves the clock.
_KNOWN = """
    select source, application_id as id, known_at from core.int_applications
    union all select source, borrower_id, known_at from core.int_statements where not is_known_by_load
    union all select source, application_id, known_at from core.int_outcome_versions where not is_known_by_load
"""


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
    """The tail, and the ids of some of its rows, each with its file and line where they were found in the raw rows."""

    tail: Tail
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Ahead:
    """Rows known only after all that holds them was received: how many, the newest time, and some of their ids."""

    n_rows: int
    newest: datetime
    received_at: datetime
    examples: tuple[str, ...]


def tail_of(months: Sequence[tuple[str, int]]) -> Tail | None:
    """The last few rows, if several months without any lie before them.

    ``months``: each with its number of rows, in order; of several gaps, the first that leaves few rows counts.
    """
    n_all, so_far = sum(n for _, n in months), 0
    for (before, n), (after, _) in pairwise(months):
        so_far += n
        if _number(after) - _number(before) > _GAP_MONTHS and n_all - so_far <= _FEW * n_all:
            return Tail(before, after, months[-1][0], n_all - so_far, n_all)
    return None


def apart(con: duckdb.DuckDBPyConnection, source: str, months: Sequence[Month]) -> Apart | None:
    """The decisions that stand apart from all others, or None."""
    tail = tail_of([(each.month, each.n_applications) for each in months])
    if tail is None:
        return None
    loans = con.execute(
        "select application_id, strftime(decided_at, '%Y') from core.int_applications where source = ? "
        f"and strftime(decided_at, '%Y-%m') >= ? order by decided_at desc, application_id limit {_SHOWN}",
        [source, tail.first],
    ).fetchall()
    return Apart(tail, tuple(f"{loan}{_place(con, source, loan, year)}" for loan, year in loans))


def clock_apart(con: duckdb.DuckDBPyConnection, source: str) -> Apart | None:
    """The newest rows by the time they became known, if they stand apart: they set the lender's clock."""
    months = con.execute(
        f"select strftime(known_at, '%Y-%m') as month, count(*) from ({_KNOWN}) where source = ? "
        "group by month order by month",
        [source],
    ).fetchall()
    tail = tail_of(months)
    return None if tail is None else Apart(tail, _newest(con, source))


def ahead_of_files(con: duckdb.DuckDBPyConnection, source: str) -> Ahead | None:
    """The rows known, as they say, long after the lender's last file or reported outcome was received."""
    (received_at,) = con.execute(
        "select max(known_at) from (select source, loaded_at as known_at from raw.files "
        "union all select source, known_at from serving.reported_outcomes) where source = ?",
        [source],
    ).fetchall()[0]
    n_rows, newest = con.execute(
        f"select count(*), max(known_at) from ({_KNOWN}) "
        f"where source = $source and known_at > $received + {_AFTER_LOAD}",
        {"source": source, "received": received_at},
    ).fetchall()[0]
    return Ahead(n_rows, newest, received_at, _newest(con, source)) if n_rows else None


def _newest(con: duckdb.DuckDBPyConnection, source: str) -> tuple[str, ...]:
    rows = con.execute(
        f"select id, strftime(known_at, '%Y') from ({_KNOWN}) where source = ? order by known_at desc, id "
        f"limit {_SHOWN}",
        [source],
    ).fetchall()
    return tuple(f"{each}{_place(con, source, each, year)}" for each, year in rows)


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
