"""The shell knows when a statement is complete, and a script stops at its first error."""

import io

import duckdb
import pytest

from warehouse.errors import QueryError
from warehouse.sql.shell import run_script, run_statements, take_line


def script(text: str) -> str:
    output = io.StringIO()
    with duckdb.connect() as con:
        run_script(con, io.StringIO(text), output, form="csv")
    return output.getvalue()


def test_a_statement_may_go_over_many_lines() -> None:
    assert script("select\n  1 as a,\n  2 as b\n;\n") == "a,b\n1,2\n"


def test_a_semicolon_within_quotes_does_not_end_a_statement() -> None:
    assert script("select 'a;\nb' as a;\n") == 'a\n"a;\nb"\n'


def test_the_last_statement_of_a_script_needs_no_semicolon() -> None:
    assert script("select 1 as a;\nselect 2 as a") == "a\n1\na\n2\n"


def test_a_script_stops_at_its_first_error() -> None:
    with pytest.raises(QueryError, match="nonesuch"):
        script("select * from nonesuch;\nselect 1;\n")


def test_quit_ends_a_script() -> None:
    assert script("select 1 as a;\n.quit\nselect 2 as a;\n") == "a\n1\n"


def test_an_unknown_dot_command_shows_those_there_are() -> None:
    with pytest.raises(QueryError, match=r"(?s)\.nonesuch is none.*\.tables"):
        script(".nonesuch\n")


def test_a_line_without_a_semicolon_stays_pending() -> None:
    with duckdb.connect() as con:
        pending = take_line(con, "select 1", "as a", io.StringIO(), form="csv")

    assert pending == "select 1\nas a"


@pytest.mark.parametrize("relation", ["loans", "open_loans"])
def test_a_schema_says_what_each_column_is(relation: str) -> None:
    """Of a view too, whose columns' descriptions are lines of its own comment."""
    output = io.StringIO()
    with duckdb.connect() as con:
        con.execute(
            "attach ':memory:' as lake; use lake; create table loans (id varchar); create view open_loans as from loans"
        )
        con.execute("comment on column loans.id is 'The loan.'; comment on view open_loans is 'Open.\n\nid: The loan.'")

        take_line(con, "", f".schema main.{relation};", output, form="csv")

    assert output.getvalue() == "column,type,description\nid,VARCHAR,The loan.\n"


def test_a_schema_shows_long_descriptions_whole_and_needs_no_shell() -> None:
    output, description = io.StringIO(), "The rate of the loan, " * 10 + "a year."
    with duckdb.connect() as con:
        con.execute("attach ':memory:' as lake; use lake; create table loans (id varchar)")
        con.execute(f"comment on column loans.id is '{description}'")

        run_statements(con, ".schema main.loans", output, form="table")

    assert description in output.getvalue()
