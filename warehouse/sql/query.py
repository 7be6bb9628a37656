"""Run a query on the lake and stream its rows in the requested format."""

import csv
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Literal, TextIO

import duckdb
import msgspec

from warehouse.errors import QueryError

Format = Literal["table", "csv", "json"]
#: Rows are fetched and printed in groups of this size; the first group sets a table's column widths.
GROUP = 1_000
_LONGEST_CELL = 80
_JSON = msgspec.json.Encoder(decimal_format="number")


def run_query(
    con: duckdb.DuckDBPyConnection,
    query: str,
    output: TextIO,
    *,
    form: Format = "table",
    longest_cell: int | None = _LONGEST_CELL,
) -> None:
    """Run every statement of ``query`` and print the rows of those that return any.

    Results are printed while they are computed, so memory does not limit their size. Raises QueryError with DuckDB's
    message or, for a query that would write, with how to write. In a table, texts longer than ``longest_cell`` are cut.
    """
    try:
        statements = con.extract_statements(query)
        if not statements:
            raise QueryError("a query must hold a statement: found none")
        for statement in statements:
            con.execute(statement)
            if con.description is not None:
                _print_rows(con, output, form, longest_cell)
    except duckdb.InterruptException:
        raise QueryError("interrupted") from None
    except duckdb.Error as error:
        raise _query_error(error) from None


def _query_error(error: duckdb.Error) -> QueryError:
    text = str(error).strip()
    if "read-only mode" in text:
        return QueryError(
            "loanlake sql only reads the lake, and this statement would change it: rows come in by `loanlake ingest`, "
            "tables by dbt (yours, dev: `dbt build` in warehouse/), programs write in "
            "warehouse.lake.connection.writer()"
        )
    if isinstance(error, duckdb.IOException) and ".parquet" in text:
        text += "\n`loanlake status` says which data files are lost, and what brings their rows back"
    return QueryError(text)


def _print_rows(con: duckdb.DuckDBPyConnection, output: TextIO, form: Format, longest_cell: int | None) -> None:
    description = con.description or []
    rows = chain.from_iterable(iter(lambda: con.fetchmany(GROUP), []))
    if form == "csv":
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(column[0] for column in description)
        writer.writerows([_text(value, null="") for value in row] for row in rows)
    elif form == "json":
        _print_json(_distinct([column[0] for column in description]), rows, output)
    else:
        is_number = [_is_number(str(column[1])) for column in description]
        names = [_cell(column[0], _LONGEST_CELL) for column in description]
        _print_table(names, is_number, ([_cell(value, longest_cell) for value in row] for row in rows), output)


def _print_json(names: Sequence[str], rows: Iterator[tuple[Any, ...]], output: TextIO) -> None:
    """A list of objects, one a line. Times are ISO 8601; NaN and infinity, which JSON lacks, become null."""
    separator = "[\n"
    for row in rows:
        output.write(separator + _JSON.encode(dict(zip(names, row, strict=True))).decode())
        separator = ",\n"
    output.write("[]\n" if separator == "[\n" else "\n]\n")


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names as unique keys: the second ``a`` becomes ``a_2``."""
    keys: list[str] = []
    for name in names:
        key, number = name, 1
        while key in keys:
            number += 1
            key = f"{name}_{number}"
        keys.append(key)
    return keys


def _print_table(names: Sequence[str], is_number: Sequence[bool], rows: Iterator[list[str]], output: TextIO) -> None:
    first = list(islice(rows, GROUP))
    widths = [max(map(len, column)) for column in zip(names, *first, strict=True)]
    if output.isatty() and sum(widths) + 2 * len(widths) > shutil.get_terminal_size().columns:
        _print_records(names, chain(first, rows), output)
        return

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(cells, widths, is_number, strict=True)
        )
        return "  ".join(aligned).rstrip() + "\n"

    output.write(line(names))
    output.write("  ".join("-" * width for width in widths) + "\n")
    n_rows = 0
    for cells in chain(first, rows):
        output.write(line(cells))
        n_rows += 1
    output.write(_n_rows(n_rows))


def _print_records(names: Sequence[str], rows: Iterator[list[str]], output: TextIO) -> None:
    """One line a value, for rows wider than the terminal."""
    width, n_rows = max(map(len, names)), 0
    for n_rows, cells in enumerate(rows, start=1):
        output.write(f"-- row {n_rows:,}\n")
        output.writelines(f"{name.ljust(width)}  {cell}\n" for name, cell in zip(names, cells, strict=True))
    output.write(_n_rows(n_rows))


def _n_rows(n_rows: int) -> str:
    return f"({n_rows:,} row{'' if n_rows == 1 else 's'})\n"


def _cell(value: Any, longest: int | None) -> str:
    text = _text(value, null="NULL").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


def _text(value: Any, *, null: str) -> str:
    if value is None:
        return null
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return _JSON.encode(value).decode().strip('"')


def _is_number(data_type: str) -> bool:
    return data_type.startswith(("DECIMAL", "DOUBLE", "FLOAT")) or data_type.endswith("INT") or data_type == "INTEGER"
