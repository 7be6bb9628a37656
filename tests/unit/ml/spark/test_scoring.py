"""A worker of Spark scores with the bundle's own scorer; Spark itself is started in tests/integration/test_spark.py."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ml.bundle.scorer import Scorer
from ml.spark.scoring import SCHEMA, score
from tests.model_factory import filled_home, shared_bundle
from warehouse.lake.connection import connect

Batches = Iterator[pa.RecordBatch]


@dataclass
class Rows:
    """Of Spark's DataFrame what scoring uses, on one table of Arrow in batches of a few rows."""

    table: pa.Table

    def select(self, *names: str) -> "Rows":
        """The columns alone."""
        return Rows(self.table.select(list(names)))

    def mapInArrow(self, scored: Callable[[Batches], Batches], schema: str) -> pa.Table:  # noqa: N802  # Spark's name
        """What ``scored`` makes of the batches."""
        assert [word.split()[0] for word in schema.split(", ")] == [word.split()[0] for word in SCHEMA.split(", ")]
        return pa.Table.from_batches(scored(iter(self.table.to_batches(max_chunksize=300))))


def test_scores_are_those_of_the_bundle_to_the_bit() -> None:
    bundle = shared_bundle()
    with connect(filled_home()) as con:
        table = con.sql("from features.ftr_application_v1 order by application_id").arrow().read_all()

    found = score(Rows(table), bundle)  # type: ignore[arg-type]  # see Rows

    expected = Scorer(bundle).score_matrix(bundle.design_matrix.encode(table.to_pandas()))
    assert found["application_id"].to_pylist() == table["application_id"].to_pylist()
    assert np.array_equal(found["raw"].to_numpy(), expected.raw)
    assert np.array_equal(found["probability"].to_numpy(), expected.probability)
    assert found["band"].to_pylist() == expected.bands
    assert found["decision"].to_pylist() == expected.decisions
    assert found["points"].null_count == len(table)
