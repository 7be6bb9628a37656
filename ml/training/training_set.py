"""Read training and test rows from one lake snapshot, with a hash over every bit.

Each version of the features has its table, ``training.trn_default_vN``, with the same applications, labels and splits;
a version that a lender extends, ``training.trn_default_vN_mybank``, with those of that lender.
Source, feature version, snapshot and hash name a training set; :attr:`TrainingSet.statement` reads it again, whatever
dbt rebuilt since.

With exposures (``training.lbl_exposures``) it also has the loans whose window is still open, as the split ``open``, and
of each loan how long it was observed. Only families that learn from open loans read these rows; none is judged by them.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import duckdb
import numpy as np
from numpy.typing import NDArray

from ml.training.mapped_rows import MappedRows, map_rows
from warehouse.errors import LakeError, NotFoundError, TrainingSetError
from warehouse.lake.connection import current_snapshot
from warehouse.lake.feature_tables import FeatureVersion
from warehouse.lake.training_rows import rows_at, rows_of_snapshot
from warehouse.sql.quoting import literal

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: ``open`` first: rows on disk lie split by split, and a model learns from open, train and tune rows in one piece.
Split = Literal["open", "train", "tune", "test"]
#: The splits of mature loans, which every training set has.
SPLITS: tuple[Split, ...] = get_args(Split)[1:]
#: For how many windows a loan was observed, and whether it has defaulted in that time.
EXPOSURE_COLUMNS = ("observed_windows", "is_default_so_far")
#: Columns that are not features.
KEY_COLUMNS = (
    "application_id", "borrower_id", "source", "decided_at", "split", "is_default", "label_known_at", *EXPOSURE_COLUMNS
)  # fmt: skip
_BATCH_ROWS, _MAPPED_BATCH_ROWS = 1_000_000, 200_000
#: Training's memory per value: float64 (8), columns as float32 (4), XGBoost's copy while it finds quantiles (4), the
#: baseline's copy, imputed and scaled (24).
_BYTES_A_VALUE = 40


@dataclass(frozen=True)
class TrainingSet:
    """One source's rows of a version's training table as of a snapshot, ordered by application.

    ``feature_version``: such as ``v1``. ``frame``: keys as in the table; ``is_default`` bool; numeric and boolean
    features float64 with NaN for missing, categorical ones and ``split`` pandas categories. ``sha256`` covers values,
    types and column names. ``mapped``: the files of a frame too large for memory. ``has_exposures``: whether it has
    open loans, and the columns ``observed_windows`` and ``is_default_so_far``.
    """

    frame: "pd.DataFrame"
    source: str
    feature_version: str
    snapshot: int
    sha256: str
    mapped: MappedRows | None = None
    has_exposures: bool = False

    def rows(self, *splits: Split) -> "pd.DataFrame":
        """The rows of a split, or of some in the order of ``Split``, each in the order of the whole."""
        import pandas as pd

        if self.mapped is not None:
            return self.mapped.rows(*splits)
        parts = [self.frame[self.frame["split"] == split] for split in splits]
        return parts[0] if len(parts) == 1 else pd.concat(parts)

    def defaulted(self, *splits: Split) -> NDArray[np.bool_]:
        """The outcomes, in the order of :meth:`rows`."""
        return self.rows(*splits)["is_default"].to_numpy(dtype=np.bool_)

    @property
    def statement(self) -> str:
        """The SQL that reads these rows again."""
        return statement(self.source, self.feature_version, self.snapshot, exposures=self.has_exposures)


def training_table(feature_version: str, *, exposures: bool = False) -> str:
    """The name of the training rows of a version of the features (:mod:`warehouse.lake.training_rows`).

    >>> training_table("v1"), training_table("v1", exposures=True)
    ('training.trn_default_v1', 'training.trn_exposed_v1')
    """
    version = FeatureVersion.parse(feature_version)
    return version.exposed_rows if exposures else version.training_table


def read_training_set(
    con: duckdb.DuckDBPyConnection,
    source: str,
    *,
    feature_version: str,
    snapshot: int | None = None,
    most_bytes: int | None = None,
    exposures: bool = False,
) -> TrainingSet:
    """Read a source's training set from the lake, by default as of the newest snapshot.

    ``most_bytes``: memory limit of training; a larger set is mapped from files under DuckDB's temporary directory
    (``ml.training.mapped_rows``). None: no limit. Raises NotFoundError if the snapshot has no such table or rows, and
    TrainingSetError if a split is empty, has one outcome only, or an application occurs twice, or, with ``exposures``,
    a loan has none.
    """
    snapshot = current_snapshot(con) if snapshot is None else snapshot
    table = training_table(feature_version, exposures=exposures)
    where = f"{table} of source {source!r} at snapshot {snapshot}"
    digest, mapped = ContentHash(), None
    rows_again = partial(stream_training_set, con, source, feature_version=feature_version, snapshot=snapshot)
    n_by_split, n_columns = _size(con, source, feature_version, snapshot, exposures)
    if most_bytes is not None and sum(n_by_split.values()) * n_columns * _BYTES_A_VALUE > most_bytes:
        spill = _spill(con)  # before the reader: a connection's next query ends the one before
        reader = rows_again(batch_rows=_MAPPED_BATCH_ROWS, exposures=exposures)
        rows = digest.over(_unique(reader, where))
        keys = [name for name in reader.schema.names if name in KEY_COLUMNS]
        mapped = map_rows(rows, reader.schema, n_by_split=n_by_split, keys=keys, within=spill)
        frame = mapped.frame
    else:
        reader = rows_again(batch_rows=_BATCH_ROWS, exposures=exposures)
        frame = _frame(digest.over(_unique(reader, where)), reader.schema)
    if frame.empty:
        raise NotFoundError(
            f"{table} has no rows of source {source!r} at snapshot {snapshot}: ingest its files and run `dbt build`; "
            "an application trains a model once its label is mature"
        )
    _check_trainable(frame, where, exposures=exposures)
    return TrainingSet(frame, source, feature_version, snapshot, digest.hexdigest(), mapped, exposures)


def rows_seen_by(
    con: duckdb.DuckDBPyConnection, training_set: TrainingSet, split: Split, *, feature_version: str
) -> "pd.DataFrame":
    """A split's applications at the same snapshot with another version's features.

    Raises NotFoundError if that version's training table has other applications in the split.
    """
    rows = training_set.rows(split)
    if feature_version == training_set.feature_version:
        return rows
    table, snapshot = training_table(feature_version), training_set.snapshot
    every_split = statement_now(con, training_set.source, feature_version, snapshot)
    query = f"select * from ({every_split}) where split = '{split}' order by application_id"
    reader = _execute(con, query, table, snapshot).to_arrow_reader(batch_size=_BATCH_ROWS)
    seen = _frame(reader, reader.schema)
    if seen["application_id"].tolist() != rows["application_id"].tolist():
        raise NotFoundError(
            f"{table} must hold the same {split} applications as "
            f"{training_table(training_set.feature_version)} at snapshot {snapshot}: found {len(seen):,} beside "
            f"{len(rows):,}; build both with `loanlake run`"
        )
    return seen


def collect_training_set(
    rows: "pa.RecordBatchReader",
    source: str,
    *,
    feature_version: str,
    snapshot: int,
    where: str,
    exposures: bool = False,
) -> TrainingSet | None:
    """A version's training rows, ordered by application, as a training set; None without rows.

    Raises TrainingSetError as :func:`read_training_set` does, naming the rows by ``where``.
    """
    digest = ContentHash()
    frame = _frame(digest.over(_unique(rows, where)), rows.schema)
    if frame.empty:
        return None
    _check_trainable(frame, where, exposures=exposures)
    return TrainingSet(frame, source, feature_version, snapshot, digest.hexdigest(), has_exposures=exposures)


def stream_training_set(
    con: duckdb.DuckDBPyConnection,
    source: str,
    *,
    feature_version: str,
    snapshot: int,
    batch_rows: int,
    exposures: bool = False,
) -> "pa.RecordBatchReader":
    """A training set's rows in batches, in fixed order; raises NotFoundError without snapshot or table."""
    query = statement_now(con, source, feature_version, snapshot, exposures=exposures)
    table = training_table(feature_version, exposures=exposures)
    return _execute(con, query, table, snapshot).to_arrow_reader(batch_size=batch_rows)


def _size(
    con: duckdb.DuckDBPyConnection, source: str, feature_version: str, snapshot: int, exposures: bool
) -> tuple[dict[str, int], int]:
    rows = statement_now(con, source, feature_version, snapshot, exposures=exposures)
    table = training_table(feature_version, exposures=exposures)
    found = dict(_execute(con, f"select split, count(*) from ({rows}) group by split", table, snapshot).fetchall())
    splits = get_args(Split) if exposures else SPLITS
    return {split: found.get(split, 0) for split in splits}, len(con.execute(f"describe {rows}").fetchall())


def _spill(con: duckdb.DuckDBPyConnection) -> Path:
    return Path(con.execute("select current_setting('temp_directory')").fetchall()[0][0])


def _execute(con: duckdb.DuckDBPyConnection, query: str, table: str, snapshot: int) -> duckdb.DuckDBPyConnection:
    try:
        return con.execute(query)
    except duckdb.Error as error:
        text = str(error).splitlines()[0]
        if not isinstance(error, duckdb.CatalogException) and "No snapshot found" not in text:
            raise LakeError(f"{table} at snapshot {snapshot} cannot be read: {text}; restore its files") from None
        raise NotFoundError(
            f"{table} must exist at snapshot {snapshot}: it does not ({text}); build it with `loanlake run` or "
            "`dbt build`. A snapshot that `loanlake data maintain` has expired is gone"
        ) from None


class ContentHash:
    """SHA-256 over a table's columns, fed batch by batch in constant memory.

    Each column is hashed as one run of values, so batch sizes do not matter; nulls have a mask. Rows must come in a
    fixed order.
    """

    def __init__(self) -> None:
        self._columns: dict[str, tuple[str, list[Any]]] = {}
        self._n_rows = 0

    def over(self, batches: Iterable["pa.RecordBatch"]) -> Iterator["pa.RecordBatch"]:
        """Pass batches through, hashing them on the way."""
        for batch in batches:
            self.update(batch)
            yield batch

    def update(self, batch: "pa.RecordBatch") -> None:
        """Add the next rows."""
        self._n_rows += batch.num_rows
        for field, column in zip(batch.schema, batch.columns, strict=True):
            parts = _canonical_bytes(column)
            _, hashes = self._columns.setdefault(field.name, (str(field.type), [hashlib.sha256() for _ in parts]))
            for part, running in zip(parts, hashes, strict=True):
                running.update(part)

    def hexdigest(self) -> str:
        """The hash of all rows added, 64 hexadecimal digits."""
        total = hashlib.sha256(f"{self._n_rows} rows".encode())
        for name, (data_type, hashes) in self._columns.items():
            total.update(f"\n{name} {data_type} {' '.join(running.hexdigest() for running in hashes)}".encode())
        return total.hexdigest()


def split_reason(con: "duckdb.DuckDBPyConnection", source: str) -> str:
    """How a source's labels were split by the last build, and why."""
    found = con.execute("select reason from training.lbl_split_windows where source = $1", [source]).fetchall()
    return "; ".join(reason for (reason,) in found)


def statement(source: str, feature_version: str, snapshot: int, *, exposures: bool = False) -> str:
    """The SQL of a source's training set as of a snapshot: the one definition of rows and order."""
    return _rows_of(source, rows_of_snapshot(training_table(feature_version, exposures=exposures), snapshot))


def statement_now(
    con: duckdb.DuckDBPyConnection, source: str, feature_version: str, snapshot: int, *, exposures: bool = False
) -> str:
    """:func:`statement` or, after erasures, the SQL of the remaining rows."""
    return _rows_of(source, rows_at(con, training_table(feature_version, exposures=exposures), snapshot))


def _rows_of(source: str, relation: str) -> str:
    return f"select * from {relation} where source = {literal(source)} order by application_id"


def _canonical_bytes(column: "pa.Array") -> list[Any]:
    """A column's presence mask, its values (null: zero), and for text the lengths that separate them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    present = pc.is_valid(column).cast(pa.uint8()).to_numpy(zero_copy_only=False)
    if pa.types.is_boolean(column.type):
        return [present, column.fill_null(False).cast(pa.uint8()).to_numpy(zero_copy_only=False)]
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int32() if pa.types.is_date32(column.type) else pa.int64())
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return [present, np.ascontiguousarray(column.fill_null(0).to_numpy(zero_copy_only=False))]
    # text, and anything rarer by its text
    text = column.cast(pa.large_string()).fill_null("")
    _, offsets_buffer, data = text.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[text.offset : text.offset + len(text) + 1]
    characters = memoryview(data)[offsets[0] : offsets[-1]] if data is not None else b""
    return [present, np.diff(offsets), characters]


def _frame(batches: Iterable["pa.RecordBatch"], schema: "pa.Schema") -> "pd.DataFrame":
    import pandas as pd
    import pyarrow as pa

    table = pa.Table.from_batches(batches, schema=schema)
    for position, field in enumerate(schema):
        if field.name in KEY_COLUMNS and field.name != "split":
            continue
        if pa.types.is_boolean(field.type):
            table = table.set_column(position, field.name, table[field.name].cast(pa.uint8()).cast(pa.float64()))
        elif pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
            table = table.set_column(position, field.name, table[field.name].cast(pa.float64()))
        elif pa.types.is_string(field.type):
            table = table.set_column(position, field.name, table[field.name].dictionary_encode())
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return frame


def _unique(batches: Iterable["pa.RecordBatch"], where: str) -> Iterator["pa.RecordBatch"]:
    """Pass batches through; raises TrainingSetError for adjacent rows of one application."""
    last = None
    for batch in batches:
        ids = batch["application_id"].to_numpy(zero_copy_only=False)
        repeated = np.append(ids[:1] == last, ids[1:] == ids[:-1])
        if repeated.any():
            raise TrainingSetError(
                f"{where} must have one row per application: found {int(repeated.sum())} more "
                f"(application_id {ids[repeated][0]}, …)"
            )
        last = ids[-1] if len(ids) else last
        yield batch


def _check_trainable(frame: "pd.DataFrame", where: str, *, exposures: bool) -> None:
    unlabelled = int(frame["is_default"].isna().sum())
    if exposures and (n_unknown := int(frame["observed_windows"].isna().sum())):
        raise TrainingSetError(
            f"{where} must say of every loan how long it was observed, to learn from open loans: found {n_unknown:,} "
            f"of {len(frame):,} loans without. A lender without dates has no such times: train another family. For "
            "others run `loanlake run` again, which builds training.lbl_exposures"
        )
    if unlabelled:
        raise TrainingSetError(f"{where} must have a label in every row: {unlabelled} have none")
    for split in SPLITS:
        defaulted = frame.loc[frame["split"] == split, "is_default"]
        n, n_defaults = len(defaulted), int(defaulted.sum())
        if n_defaults in (0, n):
            raise TrainingSetError(
                f"{where} needs loans that defaulted and loans that did not in each of {', '.join(SPLITS)}: "
                f"found {n_defaults} defaults in {n} rows of {split}; ingest more months, or change `split` in the "
                "lender's file (warehouse/lenders/)"
            )
