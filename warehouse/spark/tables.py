"""Spark's tables as Parquet files, whatever they are stored as."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from warehouse.errors import SparkError
from warehouse.spark.lake_views import SETTINGS_VIEW

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: The schemas that dbt's target ``spark`` builds, after the views of the lake's own raw tables.
LAYERS = ("raw", "staging", "core", "features", "training")
#: What a build writes beside a table, before it takes the table's place: macros/incremental/spark.sql.
_UNFINISHED = "__new"
#: The column by which tables of a decision are partitioned, after those of their contract; likewise.
MONTH_PARTITION = "_month"


def built_tables(spark: "SparkSession") -> dict[str, bool]:
    """``schema.table`` → whether it is a view, of all that dbt built in Spark."""
    found = {}
    for schema in LAYERS:
        if spark.catalog.databaseExists(schema):
            for table in spark.catalog.listTables(schema):
                if not table.isTemporary and not table.name.endswith(_UNFINISHED):
                    found[f"{schema}.{table.name}"] = table.tableType == "VIEW"
    found.pop(SETTINGS_VIEW, None)
    return found


def parquet_files(spark: "SparkSession", table: str, *, is_view: bool, scratch: Path) -> Sequence[str]:
    """Paths of Parquet files with the rows of ``schema.table``: its own, or for a view new ones in ``scratch``."""
    rows = spark.table(table).drop(MONTH_PARTITION)  # files have it in their path, views of such tables as a column
    if is_view or _provider(spark, table) != "parquet":
        place = scratch / table
        rows.write.parquet(str(place))
        return sorted(str(path) for path in place.glob("*.parquet"))
    return sorted(_path(uri, table) for uri in rows.inputFiles())


def _provider(spark: "SparkSession", table: str) -> str:
    described = spark.sql(f"describe table extended {table}").where("col_name = 'Provider'").collect()
    return str(described[0]["data_type"]).lower() if described else ""


def _path(uri: str, table: str) -> str:
    scheme, _, rest = uri.partition(":")
    if scheme == "file":
        return unquote("/" + rest.lstrip("/"))
    if scheme in ("s3", "s3a"):
        return "s3:" + unquote(rest)
    raise SparkError(f"{table}: its files must be on this machine's disks or in S3, which DuckDB reads: found {uri}")
