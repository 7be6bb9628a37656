"""Tables that programs write, created when a writer opens the lake; the YAML of dbt sources defines their columns."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from warehouse.settings import DBT_PROJECT_DIR

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

CATALOG = "lake"
#: DuckLake's own tables of that catalog.
METADATA = f"__ducklake_metadata_{CATALOG}"
#: From DuckLake's own tables: 3 ms; `information_schema.tables` loads every column and statistic of the lake first, 45.
_COMMITTED = f"""
    select schemas.schema_name, tables.table_name
    from {METADATA}.ducklake_schema as schemas
    left join {METADATA}.ducklake_table as tables
        on tables.schema_id = schemas.schema_id and tables.end_snapshot is null
    where schemas.end_snapshot is null
"""


@cache
def program_tables() -> Mapping[str, Mapping[str, str]]:
    """``schema.table`` → column → DuckDB type, in table order."""
    return {
        f"{source['schema']}.{table['name']}": {column["name"]: column["data_type"] for column in table["columns"]}
        for path in sorted((DBT_PROJECT_DIR / "models").glob("*/*program_tables.yml"))
        for source in read_sources(path)
        for table in source["tables"]
    }


def is_table(con: "duckdb.DuckDBPyConnection", name: str) -> bool:
    """Whether the lake has a table or view ``schema.table``."""
    # the views of information_schema also read the statistics of every table: a third of a second of processor time
    found = con.execute(
        "select 1 from (select schema_name, table_name from duckdb_tables() where database_name = $1 "
        "union all select schema_name, view_name from duckdb_views() where database_name = $1) as named "
        "where schema_name || '.' || table_name = $2",
        [CATALOG, name],
    ).fetchone()
    return found is not None


def tables_and_views(con: "duckdb.DuckDBPyConnection") -> set[str]:
    """Each table and view of the lake as ``schema.table``, in one query that loads them all."""
    rows = con.execute(
        "select table_schema || '.' || table_name from information_schema.tables where table_catalog = $1", [CATALOG]
    ).fetchall()
    return {name for (name,) in rows}


def arrow_schema(table: str) -> "pa.Schema":
    """The columns of a program-written table as Arrow types, in order."""
    import pyarrow as pa

    types = {
        "varchar": pa.string(),
        "double": pa.float64(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "boolean": pa.bool_(),
        "timestamp": pa.timestamp("us"),
    }
    return pa.schema([(name, types[data_type]) for name, data_type in program_tables()[table].items()])


@cache
def read_sources(path: Path) -> Sequence[Mapping[str, Any]]:
    """The sources declared in a file of the dbt project."""
    declared: Sequence[Mapping[str, Any]] = yaml.load(path.read_text(), yaml.CSafeLoader).get("sources", ())
    return declared


def schemas_and_tables(con: "duckdb.DuckDBPyConnection") -> tuple[set[str], set[str]]:
    """Committed names: each schema, and each table as ``schema.table``; views are not among them."""
    rows = con.execute(_COMMITTED).fetchall()
    return {schema for schema, _ in rows}, {f"{schema}.{table}" for schema, table in rows if table is not None}


def missing_statements(existing: Collection[str]) -> list[str]:
    """Statements that create the program-written tables that are not in ``existing``."""
    return [
        f"create table if not exists {name} ({', '.join(f'{column} {type_}' for column, type_ in columns.items())})"
        for name, columns in program_tables().items()
        if name not in existing
    ]
