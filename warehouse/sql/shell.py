"""The shell of ``loanlake sql``: statements ended by ``;``, some dot commands, and a persistent history."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click
import duckdb

from warehouse.errors import QueryError
from warehouse.sql.query import Format, run_query
from warehouse.sql.quoting import literal

HELP = """\
A statement ends with ; and may go over many lines. Tables are named schema.table, those of your own dev lake
dev.schema.table; both lakes are read-only.
  .tables         the tables of both
  .schema TABLE   a table's columns, each with its description
  .help           this text
  .quit           leave (or Ctrl-D)
"""
_TABLES = """\
select if(table_catalog = 'lake', '', table_catalog || '.') || table_schema as schema, table_name as "table",
    table_type as type
from information_schema.tables
where table_catalog in ('lake', 'dev')
order by all"""
#: `describe` with the columns' comments; for a view, with the column's line in the view's comment.
_SCHEMA = """\
select
    described.column_name as "column",
    described.column_type as type,
    coalesce(
        columns.comment, regexp_extract(views.comment, '\\n' || described.column_name || ': (.*)', 1)
    ) as description
from (describe {table}) as described
left join duckdb_columns() as columns
    on if(columns.database_name = 'lake', '', columns.database_name || '.') || columns.schema_name || '.'
        || columns.table_name = lower({name})
    and columns.column_name = described.column_name
left join duckdb_views() as views
    on if(views.database_name = 'lake', '', views.database_name || '.') || views.schema_name || '.'
        || views.view_name = lower({name})
order by columns.column_index"""


def run_shell(con: duckdb.DuckDBPyConnection, *, form: Format, history: Path) -> None:
    """Read statements from a terminal until ``.quit`` or end of file; an error is shown and the shell continues."""
    click.echo("The lake, read-only. .help for help, .quit to leave.")
    with _remembered(history):
        pending = ""
        while True:
            try:
                line = input("   ...> " if pending else "lake> ")
            except EOFError:
                click.echo()
                return
            except KeyboardInterrupt:  # discard the input, as other shells do
                click.echo()
                pending = ""
                continue
            try:
                if not pending and line.strip() in {".quit", ".exit"}:
                    return
                pending = take_line(con, pending, line, sys.stdout, form=form)
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
                pending = ""
            except QueryError as error:
                click.echo(error, err=True)
                pending = ""


def run_statements(con: duckdb.DuckDBPyConnection, text: str, output: TextIO, *, form: Format) -> None:
    """Run statements, or one dot command, given as one text; raises QueryError at the first that fails."""
    if text.strip().startswith("."):
        _dot_command(con, text.strip(), output, form)
    else:
        run_query(con, text, output, form=form)


def run_script(con: duckdb.DuckDBPyConnection, script: TextIO, output: TextIO, *, form: Format) -> None:
    """Run statements that were piped in; raises QueryError at the first that fails."""
    pending = ""
    for line in script:
        if not pending and line.strip() in {".quit", ".exit"}:
            return
        pending = take_line(con, pending, line.rstrip("\n"), output, form=form)
    if pending.strip():
        run_query(con, pending, output, form=form)


def take_line(con: duckdb.DuckDBPyConnection, pending: str, line: str, output: TextIO, *, form: Format) -> str:
    """Add a line to ``pending``; run it if that completes a statement. Returns the pending rest."""
    if not pending and line.strip().startswith("."):
        _dot_command(con, line.strip(), output, form)
        return ""
    text = f"{pending}\n{line}" if pending else line
    if not text.strip():
        return ""
    if not _is_complete(con, text):
        return text
    run_query(con, text, output, form=form)
    return ""


def _is_complete(con: duckdb.DuckDBPyConnection, text: str) -> bool:
    """Whether ``text`` ends with a ``;`` outside quotes and comments."""
    if not text.rstrip().endswith(";"):
        return False
    try:
        con.extract_statements(text)
    except duckdb.ParserException as error:
        return "unterminated" not in str(error)
    except duckdb.Error:
        return True  # run it to show its error
    return True


def _dot_command(con: duckdb.DuckDBPyConnection, line: str, output: TextIO, form: Format) -> None:
    command, _, argument = line.partition(" ")
    if command == ".tables":
        run_query(con, _TABLES, output, form=form)
    elif command == ".schema" and argument:
        table = argument.rstrip("; ")
        query = _SCHEMA.format(table=table, name=literal(table))
        run_query(con, query, output, form=form, longest_cell=None)
    elif command == ".help":
        output.write(HELP)
    else:
        raise QueryError(f"{line} is none of the shell's commands\n{HELP}".rstrip())


@contextmanager
def _remembered(history: Path) -> Iterator[None]:
    try:
        import readline
    except ImportError:  # Python without readline: the shell works without line editing
        yield
        return
    if history.exists():
        readline.read_history_file(history)
    try:
        yield
    finally:
        history.parent.mkdir(parents=True, exist_ok=True)
        readline.set_history_length(2_000)
        readline.write_history_file(history)
