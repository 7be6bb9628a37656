"""Spark sessions with the settings of dbt's target ``spark``: tables that one writes, the other reads."""

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import yaml
from jinja2 import Environment, StrictUndefined

from warehouse.errors import SparkError
from warehouse.settings import DBT_PROJECT_DIR, Settings
from warehouse.spark.java import java_home

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def environment(settings: Settings) -> dict[str, str]:
    """Environment variables for a process that starts Spark, dbt's included; raises SparkError without the extra."""
    if importlib.util.find_spec("pyspark") is None:
        raise SparkError("Spark is not installed: pip install 'loanlake[spark]'")
    place = settings.home / "spark"
    place.mkdir(parents=True, exist_ok=True)
    java = None if os.environ.get("SPARK_REMOTE") else java_home(place)
    return {
        "LOANLAKE_HOME": str(settings.home),
        **({} if java is None else {"JAVA_HOME": java}),
        **_python_of_workers(settings),
    }


def _python_of_workers(settings: Settings) -> dict[str, str]:
    """On this machine the Python that has Loanlake; else Spark takes the first ``python3`` of the PATH."""
    is_here = parameters(settings)["spark.master"].startswith("local") and not os.environ.get("SPARK_REMOTE")
    return {"PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON", sys.executable)} if is_here else {}


def parameters(settings: Settings) -> dict[str, str]:
    """Spark's settings, as ``profiles.yml`` gives them to dbt."""
    given = {**os.environ, "LOANLAKE_HOME": str(settings.home)}
    templates = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701  # not HTML
    profile = yaml.safe_load((DBT_PROJECT_DIR / "profiles.yml").read_text())["loanlake"]
    declared = profile["outputs"]["spark"]["server_side_parameters"]
    return {name: templates.from_string(str(value)).render(env_var=given.get) for name, value in declared.items()}


def spark_session(settings: Settings, *, with_tables: bool = True) -> "SparkSession":
    """The session of this process, or of the server that SPARK_REMOTE names.

    ``with_tables``: with the metastore of the home's tables, which one process at a time can use.
    """
    os.environ.update(environment(settings))
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("loanlake")
    builder = builder.enableHiveSupport() if with_tables else builder
    for name, value in parameters(settings).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
