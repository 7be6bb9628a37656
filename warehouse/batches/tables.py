"""Which tables of the lake a batch may name: looked up in the catalog, never put into SQL as they were sent."""

from collections.abc import Mapping

import duckdb

from warehouse.errors import BatchTableError
from warehouse.lake import CATALOG

#: Schemas that hold rows as received, what was decided, and what is kept about the program's own work.
PRIVATE_SCHEMAS = frozenset({"raw", "staging", "serving", "monitoring"})
_KEY = {"application_id": "varchar"}


def scorable_table(con: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str]) -> str:
    """The table of that name, ``schema.table``, quoted for SQL.

    It must be a table of the lake, outside the private schemas, with ``application_id`` and these ``columns`` (name →
    DuckDB type). Raises BatchTableError saying what was required and what was found.
    """
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
    types = dict(found)
    required = {**_KEY, **columns}
    wrong = [
        f"{column} {data_type} (found {types.get(column, 'none')})"
        for column, data_type in required.items()
        if types.get(column) != data_type
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise BatchTableError(
            f"{name} must have application_id and the features that the model reads, of its contract's types: "
            f"{len(wrong)} of {len(required)} are not so: {', '.join(wrong[:5])}{more}"
        )
    return f"{_quoted(schema)}.{_quoted(table)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
