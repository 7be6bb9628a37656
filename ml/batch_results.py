"""The results of a batch as they are written: rows of ``serving.batch_scores``, in a Parquet file of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.deployment import Deployment
from ml.lake_rows import arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

TABLE = "serving.batch_scores"
#: Columns of few values: codes and a short list, in memory and in the file.
_FEW_VALUES = {"batch_id", "band", "decision", "model_name", "feature_version"}


@dataclass(frozen=True)
class ResultColumns:
    """What all rows of an attempt have in common."""

    batch_id: str
    deployment: Deployment
    scored_at: datetime

    @classmethod
    def of(cls, batch_id: str, deployment: Deployment) -> "ResultColumns":
        """Scored from now on."""
        return cls(batch_id, deployment, datetime.now(UTC).replace(tzinfo=None))

    def table(self, n_rows: int, **columns: Any) -> "pa.Table":
        """Rows with these columns, each an array or list; those not given are null."""
        import pyarrow as pa

        same = {
            "batch_id": self.batch_id,
            "model_name": self.deployment.model_name,
            "model_version": self.deployment.model_version,
            "feature_version": self.deployment.feature_version,
            "scored_at": self.scored_at,
        }
        schema = result_schema()
        return pa.table(
            [
                columns[field.name]
                if field.name in columns
                else _constant(same[field.name], n_rows, field.type)
                if field.name in same
                else pa.nulls(n_rows, field.type)
                for field in schema
            ],
            schema=schema,
        )


def result_schema() -> "pa.Schema":
    """The table's columns; those of few values as dictionaries."""
    import pyarrow as pa

    few = pa.dictionary(pa.int8(), pa.string())
    return pa.schema([(field.name, few if field.name in _FEW_VALUES else field.type) for field in arrow_schema(TABLE)])


def of_few_values(codes: Any, values: list[str]) -> "pa.Array":
    """A column of codes into a list of values."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(values, pa.string()))


@contextmanager
def result_file(path: Path) -> Iterator["ParquetWriter"]:
    """A writer of results."""
    from pyarrow.parquet import ParquetWriter

    few = sorted({*_FEW_VALUES, "model_version", "scored_at", "lake_snapshot"})
    # a dictionary of ids or scores, which hardly repeat, only takes time to be given up
    with ParquetWriter(path, result_schema(), compression="snappy", use_dictionary=few) as writer:
        yield writer


def _constant(value: Any, n_rows: int, data_type: "pa.DataType") -> "pa.Array":
    import numpy as np
    import pyarrow as pa

    if pa.types.is_dictionary(data_type):
        return of_few_values(np.zeros(n_rows, np.int8), [value])
    return pa.repeat(pa.scalar(value, data_type), n_rows)
