"""dbt and the commands give Spark the same settings, and those are the documented ones."""

import importlib.util
import sys
from pathlib import Path

import pytest

from warehouse.settings import Settings
from warehouse.spark import session
from warehouse.spark.options import SparkOptions
from warehouse.spark.session import environment, parameters


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


@pytest.mark.parametrize(
    ("master", "remote", "given", "expected"),
    [
        ("local[2]", "", None, sys.executable),
        ("local[2]", "", "/opt/python", "/opt/python"),
        ("spark://head:7077", "", None, None),
        ("local[2]", "sc://head:15002", None, None),
    ],
)
def test_workers_of_this_machine_have_its_python(
    master: str,
    remote: str,
    given: str | None,
    expected: str | None,
    home: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prevents workers without Loanlake where the environment is not on the PATH, as under cron."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: True)
    monkeypatch.setattr(session, "java_home", lambda _place: str(Path("/java")))
    monkeypatch.setenv("LOANLAKE_SPARK_MASTER", master)
    monkeypatch.setenv("SPARK_REMOTE", remote)
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    if given is not None:
        monkeypatch.setenv("PYSPARK_PYTHON", given)

    assert environment(home).get("PYSPARK_PYTHON") == expected
