"""Rows of a raw table are typed or explained, whatever its columns are called and whichever of them is the key."""

import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from tests.unit.warehouse.macros import macros
from warehouse.readers.table_file import VALUE_CHARACTERS
from warehouse.settings import REPOSITORY

LOADED = "timestamp '2026-01-01'"
READINGS = [
    {"name": "90_days_late", "format": "count", "required": True},
    {"name": "order", "from": "größe", "format": "id"},
]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Three rows of a table whose column names no SQL takes unquoted, the second with a count that is none."""
    with duckdb.connect() as con:
        con.execute("create schema raw")
        con.execute(
            'create table raw."mybank_loans" ("90_days_late" varchar, "größe" varchar, _file varchar, _line bigint, '
            "_loaded_at timestamp)"
        )
        con.execute(
            f"insert into raw.mybank_loans values ('1', 'a', 'f.csv', 2, {LOADED}), "
            f"('many', 'b', 'f.csv', 3, {LOADED}), ('1', 'a', 'f.csv', 4, {LOADED})"
        )
        yield con


def typed(con: duckdb.DuckDBPyConnection, key: list[str]) -> list[tuple[Any, ...]]:
    sql = macros()["typed_rows"]("raw.mybank_loans", READINGS, key)
    return con.execute(f'select "90_days_late", "order", _line from ({sql}) order by _line').fetchall()


def rejected(con: duckdb.DuckDBPyConnection, key: list[str]) -> list[tuple[Any, ...]]:
    sql = macros()["rejected_rows"]("mybank", "loans", READINGS, key)
    return con.execute(f"select line, column_name, value, reason from ({sql}) order by line").fetchall()


def test_a_column_may_have_any_name(con: duckdb.DuckDBPyConnection) -> None:
    assert typed(con, ["order"]) == [(1, "a", 4)]


def test_what_is_left_out_is_explained_by_the_name_in_the_file(con: duckdb.DuckDBPyConnection) -> None:
    assert rejected(con, ["90_days_late", "order"]) == [
        (2, "90_days_late, order", "1, a", "repeated on a later line of the file, which is used"),
        (3, "90_days_late", "many", "must be a whole number"),
    ]


def test_a_long_value_is_cut_as_a_line_that_is_no_row_is(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"insert into raw.mybank_loans values ('1', repeat('x', 3000), 'f.csv', 5, {LOADED})")

    *_, (line, _, value, _) = rejected(con, ["order"])

    assert (line, value) == (5, "x" * VALUE_CHARACTERS)


def test_a_file_without_ids_has_its_lines_for_key(con: duckdb.DuckDBPyConnection) -> None:
    assert typed(con, ["_file", "_line"]) == [(1, "a", 2), (1, "a", 4)]
    assert rejected(con, ["_file", "_line"]) == [(3, "90_days_late", "many", "must be a whole number")]


def test_a_corrected_file_without_ids_counts_beside_the_first_until_that_is_left_out(
    con: duckdb.DuckDBPyConnection,
) -> None:
    """As docs/formats.md says; the statement there is the one that is run here."""
    con.execute(f"insert into raw.mybank_loans values ('2', 'a', 'f-1a2b3c4d.csv', 2, {LOADED})")
    con.execute("create table rows_set_aside (source varchar, entity varchar, file varchar, is_replaced boolean)")
    con.execute(
        "insert into rows_set_aside values ('mybank', 'loans', 'f.csv', true), "
        "('mybank', 'loans', 'f-1a2b3c4d.csv', false), ('other', 'loans', 'f-1a2b3c4d.csv', true)"
    )
    text = (REPOSITORY / "docs" / "formats.md").read_text()
    (statement,) = re.findall(r"^select \* from typed\n.*?(?=^```)", text, re.DOTALL | re.MULTILINE)
    statement = statement.replace("{{ ref('rows_set_aside') }}", "rows_set_aside")

    sql = macros()["typed_rows"]("raw.mybank_loans", READINGS, ["_file", "_line"])
    both = con.execute(f"select _file, _line from ({sql}) order by all").fetchall()
    left = con.execute(f"with typed as ({sql}) {statement}").fetchall()

    assert both == [("f-1a2b3c4d.csv", 2), ("f.csv", 2), ("f.csv", 4)]
    assert [row[:2] for row in left] == [(2, "a")]


def test_an_unknown_format_is_named_when_the_project_is_parsed(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ValueError, match=r"reading amount: format must be one of text, id, .*: found money"):
        macros()["typed_rows"]("raw.mybank_loans", [{"name": "amount", "format": "money"}], ["amount"])


STATEMENTS = [
    {"name": "id", "format": "id", "required": True},
    {"name": "known_at", "format": "timestamp"},
    {"name": "balance", "format": "double"},
]


@pytest.fixture
def lines(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Five lines of statement a in three files, and one of b; the second file says what the first said."""
    con.execute(
        "create table raw.bank_statements (id text, known_at text, balance text, _file text, _line bigint, "
        "_loaded_at timestamp)"
    )
    con.execute(
        "insert into raw.bank_statements values "
        "('a', '2024-06-01', '800', '1.csv', 2, '2025-01-01'), ('b', '2024-06-01', '300', '1.csv', 3, '2025-01-01'), "
        "('a', '2024-06-01', '800.0', '2.csv', 2, '2025-02-01'), "
        # of one file: one known time twice, of which the later line is used, and another time
        "('a', '2024-08-01', '700', '3.csv', 2, '2025-03-01'), ('a', '2024-06-01', '750', '3.csv', 3, '2025-03-01'), "
        "('a', '2024-06-01', '760', '3.csv', 4, '2025-03-01')"
    )
    return con


def test_each_line_that_says_something_else_is_kept_and_names_when_it_was_replaced(
    lines: duckdb.DuckDBPyConnection,
) -> None:
    sql = macros()["typed_rows"]("raw.bank_statements", STATEMENTS, ["id"])

    found = lines.execute(
        f"select id, balance, _file, _line, strftime(_replaced_at, '%m') from ({sql}) order by id, _loaded_at, known_at"
    ).fetchall()

    assert found == [
        ("a", 800, "1.csv", 2, "03"),
        ("a", 760, "3.csv", 4, "03"),
        ("a", 700, "3.csv", 2, None),
        ("b", 300, "1.csv", 3, None),
    ]


def test_lines_of_one_file_with_times_of_their_own_are_no_repeats(lines: duckdb.DuckDBPyConnection) -> None:
    sql = macros()["rejected_rows"]("bank", "statements", STATEMENTS, ["id"])

    assert lines.execute(f"select file, line, value from ({sql})").fetchall() == [("3.csv", 3, "a")]


def test_only_the_lines_of_a_new_load_are_read_beside_the_rows_that_are_stored(
    lines: duckdb.DuckDBPyConnection,
) -> None:
    """Of the same keys: the first file's line of b is not made again, and what the second file said is not new."""
    text = macros()["typed_rows"]("raw.new_statements", STATEMENTS, ["id"])
    lines.execute("create table this_model as " + text.replace("raw.new_statements", "raw.bank_statements"))
    lines.execute("delete from this_model where _file = '3.csv'")
    lines.execute("update this_model set _replaced_at = null")
    lines.execute("create view raw.new_statements as from raw.bank_statements where _file <> '1.csv'")
    lines.execute("set variable loaded_from = timestamp '2025-02-01'")

    made = text.replace("/* stored", "").replace("stored */", "")
    found = lines.execute(f"select id, _file, strftime(_replaced_at, '%m') from ({made}) order by _loaded_at, known_at")

    assert found.fetchall() == [("a", "1.csv", "03"), ("a", "3.csv", "03"), ("a", "3.csv", None)]
