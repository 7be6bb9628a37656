"""Write the results of a batch: rows of ``serving.batch_scores``, in a separate Parquet file."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.registry.deployment import Deployment
from warehouse.files.patterns import parquet
from warehouse.lake.tables import arrow_schema
from warehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

TABLE = "serving.batch_scores"
#: Columns of few values, dictionary-encoded in memory and in the file.
_FEW_VALUES = {"batch_id", "band", "decision", "model_name", "feature_version"}


@dataclass(frozen=True)
class ResultColumns:
    """Values that all rows of an attempt share."""

    batch_id: str
    deployment: Deployment
    scored_at: datetime

    @classmethod
    def of(cls, batch_id: str, deployment: Deployment) -> "ResultColumns":
        """The columns of an attempt that starts now."""
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
    """The table's columns; those of few values are dictionaries."""
    import pyarrow as pa

    few = pa.dictionary(pa.int8(), pa.string())
    return pa.schema([(field.name, few if field.name in _FEW_VALUES else field.type) for field in arrow_schema(TABLE)])


def of_few_values(codes: Any, values: list[str]) -> "pa.Array":
    """A dictionary column of codes into ``values``."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(values, pa.string()))


@contextmanager
def result_file(path: Path) -> Iterator["ParquetWriter"]:
    """A writer of results."""
    from pyarrow.parquet import ParquetWriter

    few = sorted({*_FEW_VALUES, "model_version", "scored_at", "lake_snapshot"})
    # dictionaries of ids or scores, which hardly repeat, only cost time
    with ParquetWriter(path, result_schema(), compression="snappy", use_dictionary=few) as writer:
        yield writer


def put_into_lake(
    con: "duckdb.DuckDBPyConnection", settings: Settings, path: Path, *, batch_id: str, attempt: int
) -> None:
    """Replace the batch's rows of the table in one transaction; ``con`` is a writer's.

    Where the lake's files lie on this machine, the lake gets a hard link to this file: rewriting it took an eighth of a
    batch's time. Otherwise the rows are inserted.
    """
    from warehouse.lake.connection import CATALOG

    con.execute("begin")
    if con.execute(f"select 1 from {TABLE} where batch_id = $1 limit 1", [batch_id]).fetchall():
        con.execute(f"delete from {TABLE} where batch_id = $1", [batch_id])
    if "://" in settings.lake_data:
        con.execute(f"insert into {TABLE} by name select * from {parquet(path)}")
    else:
        schema, _, table = TABLE.partition(".")
        given = Path(settings.lake_data) / schema / table / f"batch-{batch_id}-{attempt}.parquet"
        _second_name(path, given)
        con.execute("call ducklake_add_data_files($1, $2, $3, schema => $4)", [CATALOG, table, str(given), schema])
    con.execute("commit")


def _second_name(path: Path, other: Path) -> None:
    """Hard-link the file, so that the lake's deletion or an erasure changes only one of the two names."""
    other.parent.mkdir(parents=True, exist_ok=True)
    other.unlink(missing_ok=True)  # of this attempt, killed before its commit
    try:
        os.link(path, other)
    except OSError:  # another file system, or one without links
        shutil.copyfile(path, other)


def _constant(value: Any, n_rows: int, data_type: "pa.DataType") -> "pa.Array":
    import numpy as np
    import pyarrow as pa

    if pa.types.is_dictionary(data_type):
        return of_few_values(np.zeros(n_rows, np.int8), [value])
    return pa.repeat(pa.scalar(value, data_type), n_rows)
