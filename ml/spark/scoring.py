"""Score the rows of a Spark table with a model bundle, in Spark's own Python workers.

Each worker loads the bundle that the API serves and scores Arrow batches with :class:`ml.bundle.scorer.Scorer`, as
batches of lake tables are: the same encoding, model, calibrator and policy, so equal features give equal bits.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ml.bundle.bundle import MANIFEST, Bundle, load_bundle
from ml.bundle.scorer import Scorer

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

#: The result's columns, in Spark's words.
SCHEMA = (
    "application_id string, raw float, probability double, low double, high double, band string, decision string, "
    "points bigint"
)


def score(rows: "DataFrame", bundle: Bundle) -> "DataFrame":
    """One row of :data:`SCHEMA` for each of ``rows``, which has application_id and the features that the model reads.

    The bundle's files travel with the plan, a few megabytes: workers need no disk in common. Workers need Loanlake and
    the packages of the model's family.
    """
    files = {name: (bundle.directory / name).read_bytes() for name in (MANIFEST, *bundle.files)}

    def scored(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        scorer = _scorer(_Files(files))
        for batch in batches:
            yield _scores(scorer, batch)

    return rows.select("application_id", *bundle.design_matrix.feature_names).mapInArrow(scored, SCHEMA)


def _scores(scorer: Scorer, batch: "pa.RecordBatch") -> "pa.RecordBatch":
    import pyarrow as pa

    scores = scorer.score_matrix(scorer.bundle.design_matrix.encode_batch(batch))
    points = pa.nulls(batch.num_rows, pa.int64()) if scores.points is None else pa.array(scores.points)
    return pa.RecordBatch.from_arrays(
        [
            batch.column("application_id").cast(pa.string()),
            *(pa.array(values) for values in (scores.raw, scores.probability, scores.low, scores.high)),
            pa.array(scores.bands, pa.string()),
            pa.array(scores.decisions, pa.string()),
            points,
        ],
        names=["application_id", "raw", "probability", "low", "high", "band", "decision", "points"],
    )


class _Files:
    """A bundle's files by name, with the identity of their content."""

    def __init__(self, content: Mapping[str, bytes]) -> None:
        self.content = content
        self._identity = hashlib.sha256(content[MANIFEST]).hexdigest()  # it has each file's checksum

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Files) and other._identity == self._identity

    def __hash__(self) -> int:
        return hash(self._identity)


@lru_cache(maxsize=2)
def _scorer(files: _Files) -> Scorer:
    """One for each Python worker and bundle: a worker scores many partitions."""
    directory = Path(tempfile.mkdtemp(prefix="loanlake-bundle-"))
    for name, content in files.content.items():
        place = directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return Scorer(load_bundle(directory))
