"""dbt and the commands give Spark the same settings, and those are the documented ones."""

import pytest

from warehouse.settings import Settings
from warehouse.spark.options import SparkOptions
from warehouse.spark.session import parameters


def test_defaults_are_those_of_the_options(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER", "MEMORY", "PARTITIONS"):
        monkeypatch.delenv(f"LOANLAKE_SPARK_{name}", raising=False)
    options = SparkOptions()

    given = parameters(home)

    assert given["spark.master"] == options.spark_master
    assert given["spark.driver.memory"] == options.spark_memory
    assert given["spark.sql.shuffle.partitions"] == str(options.spark_partitions)


def test_tables_and_metastore_lie_in_the_home(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOANLAKE_SPARK_MASTER", "local[2]")

    given = parameters(home)

    assert given["spark.master"] == "local[2]"
    assert given["spark.sql.warehouse.dir"] == f"{home.home}/spark/warehouse"
    assert f"databaseName={home.home}/spark/metastore;" in given["spark.hadoop.javax.jdo.option.ConnectionURL"]
