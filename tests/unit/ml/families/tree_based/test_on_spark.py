"""What Spark is given, and what is refused; Spark itself is started in tests/integration/test_spark.py."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ml.families.protocol import Sample, StreamedSample
from ml.families.single import missing_package
from ml.families.tree_based.boosted_trees import GradientBoosting
from ml.families.tree_based.on_spark import Tuning, write_rows
from tests.unit.ml.small_samples import TRAIN, TUNE
from warehouse.errors import SettingError

MATRIX = np.array([[1, np.nan], [2, 20], [3, 30]], dtype=np.float32)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_rows_keep_their_order_and_tune_rows_follow(tmp_path: Path, is_streamed: bool) -> None:
    defaulted, weights = np.array([True, False, True]), np.array([0.5, 1.0, 1.5])
    train: Sample | StreamedSample = Sample(MATRIX, defaulted, weights)
    if is_streamed:
        encode = pd.DataFrame.to_numpy
        train = StreamedSample(pd.DataFrame(MATRIX), encode, defaulted, tmp_path, 2, weights)
    tuning = Tuning(Sample(MATRIX[1:2], np.array([False])), patience=5, begin=-2.0, train_begin=0.0)

    write_rows(tmp_path / "rows.parquet", train, tuning, 2)

    rows = pq.read_table(tmp_path / "rows.parquet")
    assert rows["place"].to_pylist() == [0, 1, 2, 3]
    assert rows["part"].to_pylist() == [0, 1, 0, 1]
    assert np.array_equal(np.stack(rows["features"].to_numpy()), MATRIX[[0, 1, 2, 1]], equal_nan=True)
    assert rows["defaulted"].to_pylist() == [1, 0, 1, 0]
    assert rows["weight"].to_pylist() == [0.5, 1.0, 1.5, 1.0]
    assert rows["is_tune"].to_pylist() == [False, False, False, True]
    assert rows["begin"].to_pylist() == [0.0, 0.0, 0.0, -2.0]


def test_a_connect_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_REMOTE", "sc://cluster:15002")

    with pytest.raises(SettingError, match="spark_workers needs Spark in this process"):
        GradientBoosting(spark_workers=2).fit(TRAIN, TUNE, (0, 0, 0))


def test_the_missing_package_is_named_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)

    assert missing_package(GradientBoosting(spark_workers=2)) == "pyspark"
    assert missing_package(GradientBoosting()) is None


def test_no_worker_is_not_a_number_of_workers() -> None:
    with pytest.raises(SettingError, match="spark_workers must be at least 1: found 0"):
        GradientBoosting(spark_workers=0)
