"""Boosting on Apache Spark, by ``xgboost.spark``: the rows in as many parts as workers, and one booster in return."""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.families.protocol import Sample, StreamedSample
from warehouse.errors import SettingError
from warehouse.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa
    import xgboost
    from pyspark.sql import SparkSession

#: Arguments of ``xgboost.train`` that Spark decides: its tasks' cores, and the objective of a classifier.
_SPARKS_OWN = ("nthread", "objective")


@dataclass(frozen=True)
class Tuning:
    """Rows that decide when to stop, after ``patience`` trees that bring no gain on them.

    ``begin``: the log-odds at which the sum of trees begins for them, and ``train_begin`` for train rows; None: at
    XGBoost's ``base_score`` for both.
    """

    rows: Sample
    patience: int
    begin: float | None = None
    train_begin: float | None = None


def grown_on_spark(
    train: Sample | StreamedSample,
    parameters: Mapping[str, Any],
    *,
    n_trees: int,
    workers: int,
    tuning: Tuning | None = None,
) -> "xgboost.Booster":
    """A booster of up to ``n_trees``, each of which is grown by ``workers`` tasks, each with a part of the rows.

    ``parameters``: of ``xgboost.train``. One worker gives the bytes that ``xgboost.train`` gives. Several find the bins
    of a value together and draw rows (``subsample``) each for itself: another model, and always the same one. Encoded
    rows are written below the home, which every worker must be able to read. Raises SparkError without Spark, and
    SettingError if it has fewer cores than ``workers``.
    """
    spark, settings = _session(workers), Settings.from_environment()
    options = _options(train, parameters, tuning)
    from xgboost.spark import SparkXGBClassifier

    logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)  # by default it prints each parameter
    estimator = SparkXGBClassifier(
        features_col="features",
        label_col="defaulted",
        num_workers=workers,
        n_estimators=n_trees,
        verbose=False,
        **options,
    )
    with TemporaryDirectory(prefix="training-rows-", dir=settings.home / "spark") as place:
        write_rows(Path(place) / "rows.parquet", train, tuning, workers)
        # a part for each worker, in the order of the rows: equal rows give equal trees
        rows = spark.read.parquet(place).repartitionById(workers, "part").sortWithinPartitions("place")
        booster: xgboost.Booster = estimator.fit(rows).get_booster()
    return booster


def _session(workers: int) -> "SparkSession":
    if os.environ.get("SPARK_REMOTE"):
        raise SettingError(
            "spark_workers needs Spark in this process, as xgboost.spark does: found SPARK_REMOTE; unset it, and name "
            "the cluster by LOANLAKE_SPARK_MASTER"
        )
    from warehouse.spark.session import spark_session  # servers, which never train, would load Jinja and YAML

    spark = spark_session(Settings.from_environment(), with_tables=False)
    n_cores = spark.sparkContext.defaultParallelism
    if workers > n_cores:
        raise SettingError(
            f"spark_workers must be at most the number of Spark's cores, since all compute at the same time: found "
            f"{workers}, and {n_cores} cores (LOANLAKE_SPARK_MASTER)"
        )
    return spark


def _options(train: Sample | StreamedSample, parameters: Mapping[str, Any], tuning: Tuning | None) -> dict[str, Any]:
    options = {name: value for name, value in parameters.items() if name not in _SPARKS_OWN}
    if train.weights is not None:
        options["weight_col"] = "weight"
    if tuning is not None:
        options |= {"validation_indicator_col": "is_tune", "early_stopping_rounds": tuning.patience}
        if tuning.begin is not None:
            options["base_margin_col"] = "begin"
    if not train.varying.all() and train.varying.any():
        options["feature_weights"] = train.varying.astype(np.float32)
    return options


def write_rows(path: Path, train: Sample | StreamedSample, tuning: Tuning | None, workers: int) -> None:
    """Write the encoded rows as Spark reads them: each with its place, its worker's part, and whether it tunes."""
    import pyarrow.parquet as pq

    n_written = 0
    with pq.ParquetWriter(path, _schema(), compression="zstd") as writer:
        for rows, is_tune, begin in _blocks(train, tuning):
            writer.write_batch(_batch(rows, n_written, workers, is_tune=is_tune, begin=begin))
            n_written += len(rows.defaulted)


def _blocks(train: Sample | StreamedSample, tuning: Tuning | None) -> Iterator[tuple[Sample, bool, float | None]]:
    for block in train.batches() if isinstance(train, StreamedSample) else [train]:
        yield block, False, tuning.train_begin if tuning else None
    if tuning is not None:
        yield tuning.rows, True, tuning.begin


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        {
            "place": pa.int64(),
            "part": pa.int32(),
            "features": pa.list_(pa.float32()),
            "defaulted": pa.float32(),
            "weight": pa.float64(),
            "is_tune": pa.bool_(),
            "begin": pa.float64(),
        }
    )


def _batch(rows: Sample, first: int, workers: int, *, is_tune: bool, begin: float | None) -> "pa.RecordBatch":
    import pyarrow as pa

    n_rows, n_columns = rows.matrix.shape
    places: NDArray[np.int64] = np.arange(first, first + n_rows)
    features = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows.matrix).ravel()), n_columns)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(places),
            pa.array((places % workers).astype(np.int32)),
            features.cast(pa.list_(pa.float32())),
            pa.array(rows.defaulted.astype(np.float32)),
            pa.array(np.ones(n_rows) if rows.weights is None else rows.weights),
            pa.array(np.full(n_rows, is_tune)),
            pa.array(np.full(n_rows, np.nan if begin is None else begin)),
        ],
        schema=_schema(),
    )
