"""Settings of Spark in local mode; ``profiles.yml`` hands them to Spark, for dbt and commands alike."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from warehouse.settings.variable import Variable


@dataclass(frozen=True)
class SparkOptions:
    """Apache Spark in local mode. Spark's own `SPARK_REMOTE` names a Spark Connect server instead."""

    spark_master: Annotated[
        str, Variable("Where Spark computes: `local[2]` with two cores of this machine, `local[*]` with all.")
    ] = "local[*]"
    spark_memory: Annotated[str, Variable("Memory of the process that computes in local mode, such as `8g`.")] = "2g"
    spark_partitions: Annotated[
        int,
        Meta(ge=1),
        Variable("Parts into which Spark divides rows to join or sort them; a few for each core.", unit="partitions"),
    ] = 16
