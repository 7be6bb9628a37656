"""Catalog comments on the tables that programs write, from the project's YAML; dbt comments on its own models.

A column of a lender's file that the YAML does not describe gets a generic description: its text, as received.
"""

import re
from functools import cache

import duckdb

from warehouse.lake.tables import METADATA, program_tables, read_sources
from warehouse.settings import DBT_PROJECT_DIR
from warehouse.sql.quoting import literal

_PROVENANCE = {
    "_file": "The landing file.",
    "_line": "Its physical line; the header is line 1.",
    "_loaded_at": "When the file was loaded, UTC.",
}
#: From DuckLake's own tables: 6 ms; `duckdb_tables()`, which reads statistics too, takes 50.
_COMMITTED = f"""
    with tables as (
        select tables.table_id, schemas.schema_name || '.' || tables.table_name as name
        from {METADATA}.ducklake_table as tables
        inner join {METADATA}.ducklake_schema as schemas using (schema_id)
        where tables.end_snapshot is null and schemas.end_snapshot is null
    ),
    ours as (from tables where name like 'raw.%' or name in ($programs))
    select name, null, tags.value
    from ours
    left join {METADATA}.ducklake_tag as tags
        on tags.object_id = ours.table_id and tags.key = 'comment' and tags.end_snapshot is null
    union all
    select name, columns.column_name, tags.value
    from ours
    inner join {METADATA}.ducklake_column as columns
        on columns.table_id = ours.table_id and columns.end_snapshot is null and columns.parent_column is null
    left join {METADATA}.ducklake_column_tag as tags
        on tags.table_id = ours.table_id and tags.column_id = columns.column_id
        and tags.key = 'comment' and tags.end_snapshot is null
"""
#: The same, as seen by this transaction.
_PRESENT = """
    with tables as (
        select schema_name, table_name, schema_name || '.' || table_name as name, comment from duckdb_tables()
        where database_name = 'lake' and (schema_name = 'raw' or name in ($programs))
    )
    select name, null, comment from tables
    union all
    select tables.name, columns.column_name, columns.comment
    from duckdb_columns() as columns
    inner join tables using (schema_name, table_name)
    where columns.database_name = 'lake'
"""


def comments_are_missing(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether a raw or program-written table, or one of its columns, lacks its comment."""
    return bool(_missing(con, _COMMITTED))


def write_comments(con: duckdb.DuckDBPyConnection) -> None:
    """Comment on raw and program-written tables and their columns where the description has changed."""
    for (table, column), text in _missing(con, _PRESENT).items():
        subject = f"table lake.{table}" if column is None else f'column lake.{table}."{column}"'
        con.execute(f"comment on {subject} is {literal(text)}")


def _missing(con: duckdb.DuckDBPyConnection, query: str) -> dict[tuple[str, str | None], str]:
    # names as text: a bound parameter makes DuckDB import pandas, a second in each command and each run of dbt
    programs = ", ".join(map(literal, program_tables()))
    found = con.execute(query.replace("$programs", programs)).fetchall()
    return {
        (table, column): text for table, column, comment in found if (text := description(table, column)) != comment
    }


def description(table: str, column: str | None = None) -> str:
    """The description of ``schema.table``, or of one of its columns."""
    described = _described().get((table, column))
    if described:
        return described
    if column is None:
        return f"One row per line of the files {table.removeprefix('raw.')}, as text."
    return _PROVENANCE.get(column, f"The file's column {column}, as text.")


@cache
def _described() -> dict[tuple[str, str | None], str]:
    found: dict[tuple[str, str | None], str] = {}
    for path in sorted((DBT_PROJECT_DIR / "models").rglob("*.yml")):
        if not re.search("^sources:", path.read_text(), re.MULTILINE):
            continue
        for source in read_sources(path):
            for table in source.get("tables", ()):
                name = f"{source.get('schema', source['name'])}.{table['name']}"
                found[name, None] = table.get("description", "").strip()
                for column in table.get("columns", ()):
                    found[name, column["name"]] = column.get("description", "").strip()
    return found
