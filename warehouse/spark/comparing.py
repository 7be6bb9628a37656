"""Which tables are compared: all that either engine has in the layers that Spark builds."""

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

from warehouse.errors import SparkError
from warehouse.lake.connection import connect
from warehouse.lake.tables import tables_and_views
from warehouse.settings import Settings
from warehouse.spark.parity import Difference, ModelParity, compare_model
from warehouse.spark.session import spark_session
from warehouse.spark.tables import LAYERS, built_tables, parquet_files


def compare_tables(settings: Settings, models: Collection[str], scratch: Path) -> Iterator[ModelParity]:
    """Compare each of ``models`` (empty: all), one at a time; views of Spark are written to ``scratch`` meanwhile.

    Raises SparkError for a model that neither has.
    """
    spark = spark_session(settings)
    theirs = built_tables(spark)
    with closing(connect(settings)) as con:
        ours = {name for name in tables_and_views(con) if name.partition(".")[0] in LAYERS}
        for model in sorted(models or ours | theirs.keys()):
            if model not in ours | theirs.keys():
                raise SparkError(f"{model} is a table neither of the lake nor of Spark, in {', '.join(LAYERS)}")
            if model not in ours or model not in theirs:
                engine = "DuckDB" if model in ours else "Spark"
                what = f"is a table of {engine} alone: build it with the other engine too"
                yield ModelParity(model, 0, 0, 0.0, [Difference(model, None, 0, what)])
                continue
            files = parquet_files(spark, model, is_view=theirs[model], scratch=scratch)
            yield compare_model(con, model, files)
