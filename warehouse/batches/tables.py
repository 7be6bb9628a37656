"""Which lake tables a batch may name: looked up in the catalog; the caller's text is never put into SQL."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import msgspec

from warehouse.errors import BatchTableError
from warehouse.lake.connection import CATALOG, current_snapshot
from warehouse.sql.quoting import identifier

#: Schemas of received rows, decisions, and records of the program's own work.
PRIVATE_SCHEMAS = frozenset({"raw", "staging", "models", "serving", "portfolio", "monitoring"})
_KEY = {"application_id": "varchar"}
#: The column with each row's lender, in a table of several lenders.
SOURCE = "source"
_ROWS_AT_ONCE = 500
#: Similarity from which a column counts as a misspelt field: credit_limits and credit_limit are 0.96, borrower and
#: borrower_id 0.84, latest_credit_limit and credit_limit 0.77.
_ALIKE = 0.82


def scorable_table(con: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str]) -> tuple[str, bool]:
    """The table ``schema.table``, quoted for SQL, and whether it has a column with each row's lender.

    It must be a table of the lake outside the private schemas, with ``application_id`` and these ``columns`` (name →
    DuckDB type). Raises BatchTableError with what was required and what was found.
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
    """A table of applications in one snapshot; ``rows``: JSON values, in no set order, readable once."""

    lake_snapshot: int
    n_rows: int
    rows: Iterator[dict[str, Any]]


def application_table(
    con: duckdb.DuckDBPyConnection, name: str, lender: str, fields: Collection[str], *, required: Collection[str]
) -> ApplicationTable:
    """The table ``schema.table`` as rows of these ``fields``; other columns are left out.

    It must be a table of the lake outside the private schemas, with all ``required`` fields; if it names each row's
    lender, that must be ``lender``. Raises BatchTableError with what was required and what was found, also for a column
    that looks like a misspelt missing field, which would be ignored silently.
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
    """A lender's model is not valid for another lender's applicants."""
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
    """SQL that converts a column to JSON values, which exclude decimals and the client's time zone."""
    quoted = identifier(column)
    if data_type.startswith("decimal"):
        return f"{quoted}::double as {quoted}"
    if data_type == "timestamp with time zone":
        return f"timezone('UTC', {quoted}) as {quoted}"
    return quoted
