"""Give the lake the tables that Spark built, so that everything downstream reads them as it reads DuckDB's."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import SparkError
from warehouse.lake.connection import CATALOG, writer
from warehouse.settings import Settings
from warehouse.spark.lake_views import SETTINGS_VIEW
from warehouse.spark.session import spark_session
from warehouse.spark.tables import MONTH_PARTITION, built_tables
from warehouse.sql.quoting import identifier, literal

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession


def register_tables(settings: Settings, tables: Sequence[str] = ()) -> dict[str, int]:
    """Replace the lake's tables by Spark's, all in one snapshot; returns the rows of each ``schema.table``.

    ``tables``: default, every table that Spark built. Spark writes a copy of each into the lake's data path: the lake
    may delete its files when snapshots expire, and a later build on Spark replaces its own. Raises SparkError if Spark
    has no such table.
    """
    spark = spark_session(settings)
    built = {name for name, is_view in built_tables(spark).items() if not (is_view or name.startswith("raw."))}
    unknown = sorted(set(tables) - built)
    if unknown or not built:
        raise SparkError(
            f"tables to register must be ones that Spark built: found {', '.join(unknown) or 'none'}; it has "
            f"{', '.join(sorted(built)) or 'none: run `loanlake spark build` first'}"
        )
    snapshot = spark.table(SETTINGS_VIEW).first()["lake_snapshot"]
    files = {name: _written(spark, settings, name) for name in sorted(tables or built)}
    with writer("register tables that Spark built", settings) as con:
        con.execute("begin")
        n_rows = {name: _replace(con, name, pattern) for name, pattern in files.items()}
        con.execute(
            f"call {CATALOG}.set_commit_message('spark', 'registered tables that Spark built', "
            f"extra_info => {literal(f'built from snapshot {snapshot}')})"
        )
        con.execute("commit")
    return n_rows


def _written(spark: "SparkSession", settings: Settings, table: str) -> str:
    """Pattern of the Parquet files of a copy of the table in the lake's data path."""
    schema, _, name = table.partition(".")
    place = f"{settings.lake_data.rstrip('/')}/{schema}/{name}/spark-{uuid.uuid4()}"
    rows = spark.table(table)
    rows.drop(MONTH_PARTITION).write.parquet(place)
    if "://" not in place:  # Hadoop's checksums and mark, which the lake does not know
        for path in (*Path(place).glob(".*.crc"), Path(place) / "_SUCCESS"):
            path.unlink(missing_ok=True)
    return f"{place}/*.parquet"


def _replace(con: "duckdb.DuckDBPyConnection", table: str, pattern: str) -> int:
    schema, _, name = table.partition(".")
    rows = f"read_parquet({literal(pattern)}, hive_partitioning = false)"
    is_view = con.execute(
        "select 1 from duckdb_views() where database_name = $1 and schema_name = $2 and view_name = $3",
        [CATALOG, schema, name],
    ).fetchone()
    if is_view:
        con.execute(f"drop view {CATALOG}.{identifier(schema, name)}")
    con.execute(f"create or replace table {CATALOG}.{identifier(schema, name)} as from {rows} limit 0")
    con.execute(
        f"call ducklake_add_data_files('{CATALOG}', {literal(name)}, {literal(pattern)}, schema => {literal(schema)})"
    )
    row = con.execute(f"select count(*) from {CATALOG}.{identifier(schema, name)}").fetchone()
    return int(row[0]) if row else 0
