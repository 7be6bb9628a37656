"""Read a registered version's training rows again, streamed from its snapshot; the lineage's hash proves them.

A file gets its name only when every row is in it and the hash is equal; until then it is hidden, and any failure
removes it.
"""

from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import duckdb
import msgspec
import pyarrow as pa

from ml.registry.registered_version import get_version, load_registered
from ml.training.training_set import ContentHash, statement_now, stream_training_set, training_table
from warehouse.decision_log.json_text import plain
from warehouse.errors import LakeError, SettingError, TrainingSetError
from warehouse.files.drafts import draft_file
from warehouse.lake.connection import connect
from warehouse.lake.training_rows import is_kept
from warehouse.settings import Settings

#: Rows in memory: about 25 MB for 60 columns.
BATCH_ROWS = 50_000
_SUFFIXES = (".parquet", ".csv", ".json")


@dataclass(frozen=True)
class ExportedTrainingSet:
    """What was read: ``sha256`` is of the rows just read; ``statement`` reads them again.

    It equals the lineage's unless persons were erased since (``is_erased``): ``n_trained`` is the number before. The
    remaining rows cannot be proven.
    """

    model_name: str
    model_version: int
    n_rows: int
    rows_by_split: dict[str, int]
    snapshot: int
    sha256: str
    statement: str
    n_trained: int
    is_erased: bool
    path: Path | None


def export_training_set(
    settings: Settings, version: int, *, source: str | None = None, to: Path | None = None
) -> ExportedTrainingSet:
    """Read a version's training set, check its hash, and write it ``to`` a .parquet, .csv or .json file, if any.

    The order is the table's; Parquet keeps every type and bit; CSV and JSON write doubles that read back exactly
    (infinity and NaN in JSON: texts of :mod:`ml.bundle.logged_values`). Raises NotFoundError if the version or its
    snapshot is gone, SettingError for another kind of file, and TrainingSetError with both hashes if the rows differ
    from the lineage; then no file remains.
    """
    source = settings.chosen_lender(source)
    if to is not None:
        _require_writable(to)
    name = get_version(settings, source, version).name
    lineage, digest, n_rows = load_registered(settings, source, version).lineage, ContentHash(), 0
    draft = draft_file(to) if to is not None else None
    with connect(settings) as con, ExitStack() as at_the_end:
        if draft is not None:
            # renamed only when every row is in it
            at_the_end.callback(draft.unlink, missing_ok=True)
        # before the reader: a connection's next query ends the one before
        exposures = lineage.has_exposures
        may_differ = is_kept(con, training_table(lineage.feature_version, exposures=exposures), lineage.lake_snapshot)
        query = statement_now(con, lineage.source, lineage.feature_version, lineage.lake_snapshot, exposures=exposures)
        reader = stream_training_set(
            con,
            lineage.source,
            feature_version=lineage.feature_version,
            snapshot=lineage.lake_snapshot,
            batch_rows=BATCH_ROWS,
            exposures=exposures,
        )
        try:
            with closing(_open_rows(draft, to.suffix, reader.schema)) if draft and to else nullcontext() as rows:
                for batch in digest.over(reader):
                    n_rows += batch.num_rows
                    if rows is not None:
                        rows.write_batch(batch)
        except (duckdb.Error, pa.ArrowException) as error:
            raise LakeError(
                f"the rows at snapshot {lineage.lake_snapshot} cannot be read to their end: {error}"
            ) from None
        differs = digest.hexdigest() != lineage.training_set_sha256
        if differs and not may_differ:
            raise TrainingSetError(
                f"the rows at snapshot {lineage.lake_snapshot} must be those that trained {name} version {version}, "
                f"{sum(lineage.rows.values()):,} rows of SHA-256 {lineage.training_set_sha256}: found {n_rows:,} rows "
                f"of {digest.hexdigest()}; the lake's files were changed behind its catalog, restore a backup"
            )
        if draft is not None and to is not None:
            draft.replace(to)
    return ExportedTrainingSet(
        model_name=name,
        model_version=version,
        n_rows=n_rows,
        rows_by_split=dict(lineage.rows),
        snapshot=lineage.lake_snapshot,
        sha256=digest.hexdigest(),
        statement=query,
        n_trained=sum(lineage.rows.values()),
        is_erased=differs,
        path=to,
    )


class _JsonRows:
    """A list of objects, one a line."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("w", encoding="utf-8")
        self._separator = "[\n"
        self._encoder = msgspec.json.Encoder()

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append its rows."""
        for row in batch.to_pylist():
            text = self._encoder.encode({name: plain(value) for name, value in row.items()}).decode()
            self._file.write(self._separator + text)
            self._separator = ",\n"

    def close(self) -> None:
        """End the list."""
        self._file.write("[]\n" if self._separator == "[\n" else "\n]\n")
        self._file.close()


def _require_writable(path: Path) -> None:
    if path.suffix not in _SUFFIXES:
        raise SettingError(f"a training set is written to {', '.join(_SUFFIXES)}: found {path.name!r}")
    if not path.parent.is_dir():
        raise SettingError(f"the directory of {path} must exist: {path.parent.absolute()} does not")


def _open_rows(path: Path, suffix: str, schema: pa.Schema) -> Any:
    """A writer of batches."""
    if suffix == ".parquet":
        from pyarrow.parquet import ParquetWriter

        return ParquetWriter(path, schema)
    if suffix == ".csv":
        from pyarrow.csv import CSVWriter

        return CSVWriter(str(path), schema)
    return _JsonRows(path)
