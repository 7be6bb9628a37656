"""Which tables of the lake a batch may name: looked up in the catalog, never put into SQL as they were sent."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import msgspec

from warehouse.errors import BatchTableError
from warehouse.lake.connection import CATALOG, current_snapshot
from warehouse.sql.quoting import identifier

#: Schemas that hold rows as received, what was decided, and what is kept about the program's own work.
PRIVATE_SCHEMAS = frozenset({"raw", "staging", "serving", "monitoring"})
_KEY = {"application_id": "varchar"}
#: The column of a table that names each row's lender, where it holds those of several.
SOURCE = "source"
_ROWS_AT_ONCE = 500
#: How alike a column and a field must be for the one to be a slip of the other: credit_limits and credit_limit are
#: 0.96, borrower and borrower_id 0.84, latest_credit_limit and credit_limit 0.77.
_ALIKE = 0.82


def scorable_table(con: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str]) -> tuple[str, bool]:
    """The table of that name, ``schema.table``, quoted for SQL, and whether it names the lender of each row.

    It must be a table of the lake, outside the private schemas, with ``application_id`` and these ``columns`` (name →
    DuckDB type). Raises BatchTableError saying what was required and what was found.
    """
    table, types = _found(con, name)
    required = {**_KEY, **columns}
    wrong = [
        f"{column} {data_type} (found {types.get(column, 'none')})"
        for column, data_type in required.items()
        if types.get(column) != data_type
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise BatchTableError(
            f"table {name} must have application_id and the features that the model reads, of its contract's types: "
            f"{len(wrong)} of {len(required)} are not so: {', '.join(wrong[:5])}{more}"
        )
    return table, SOURCE in types


@dataclass(frozen=True)
class ApplicationTable:
    """A table of applications as it stands in one snapshot; ``rows``: once, as JSON has them, in no set order."""

    lake_snapshot: int
    n_rows: int
    rows: Iterator[dict[str, Any]]


def application_table(
    con: duckdb.DuckDBPyConnection, name: str, lender: str, fields: Collection[str], *, required: Collection[str]
) -> ApplicationTable:
    """The table of that name, ``schema.table``, as rows of these ``fields``; its other columns are left out.

    It must be a table of the lake, outside the private schemas, with all ``required`` fields; where it names the lender
    of each row, that must be ``lender``. Raises BatchTableError
    saying what was required and what was found, also for a column that is a slip of a field that the table lacks: it
    would be left out in silence.
    """
    table, types = _found(con, name)
    if lacking := [field for field in required if field not in types]:
        raise BatchTableError(
            f"table {name} must have a column for each field that every application must give "
            f"({', '.join(required)}): it lacks {', '.join(lacking)}"
        )
    lacked = [field for field in fields if field not in types]
    for column in types.keys() - set(fields):
        if meant := difflib.get_close_matches(column.lower(), lacked, n=1, cutoff=_ALIKE):
            raise BatchTableError(
                f"table {name} must name its columns as an application's fields: it has {column[:100]!r}, "
                f"and no {meant[0]}"
            )
    snapshot = current_snapshot(con)
    source = f"{table} at (version => {snapshot:d})"
    _require_lender(con, name, source, types, lender)
    columns = ", ".join(_as_json_has_it(field, types[field]) for field in fields if field in types)
    ((n_rows,),) = con.execute(f"select count(*) from {source}").fetchall()
    return ApplicationTable(snapshot, int(n_rows), _rows(con, f"select {columns} from {source}"))


def _require_lender(
    con: duckdb.DuckDBPyConnection, name: str, rows: str, types: Mapping[str, str], lender: str
) -> None:
    """One lender's model says nothing about the applicants of another."""
    if SOURCE not in types:
        return
    others = con.execute(
        f"select {SOURCE}, count(*) from {rows} where {SOURCE} is distinct from ? group by 1 order by 2 desc limit 3",
        [lender],
    ).fetchall()
    if others:
        found = ", ".join(f"{n:,} rows of {other or 'no lender'}" for other, n in others)
        raise BatchTableError(
            f"table {name} must hold applications of {lender}, the lender whose model is served: found {found}; make a "
            f"table of those where {SOURCE} = '{lender}'"
        )


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> Iterator[dict[str, Any]]:
    found = con.execute(query)
    names = [column[0] for column in found.description or ()]
    while some := found.fetchmany(_ROWS_AT_ONCE):
        for row in some:
            yield msgspec.to_builtins(dict(zip(names, row, strict=True)))


def _found(con: duckdb.DuckDBPyConnection, name: str) -> tuple[str, dict[str, str]]:
    """The table, quoted for SQL, and the types of its columns."""
    schema, _, table = name.partition(".")
    found = con.execute(
        "select columns.column_name, lower(columns.data_type) from information_schema.columns as columns "
        "join information_schema.tables as tables using (table_catalog, table_schema, table_name) "
        "where columns.table_catalog = $1 and columns.table_schema = $2 and columns.table_name = $3 "
        "and tables.table_type = 'BASE TABLE'",
        [CATALOG, schema, table],
    ).fetchall()
    if not found or schema in PRIVATE_SCHEMAS:
        shown = name if len(name) <= 100 else name[:100] + "…"
        raise BatchTableError(
            "a batch's table must be a table of the lake, named schema.table as in features.ftr_application_v2, and of "
            f"none of the schemas {', '.join(sorted(PRIVATE_SCHEMAS))}: found {shown!r}"
        )
    return identifier(schema, table), dict(found)


def _as_json_has_it(column: str, data_type: str) -> str:
    """SQL of a column whose values JSON has too: it knows neither decimals nor the client's time zone."""
    quoted = identifier(column)
    if data_type.startswith("decimal"):
        return f"{quoted}::double as {quoted}"
    if data_type == "timestamp with time zone":
        return f"timezone('UTC', {quoted}) as {quoted}"
    return quoted
