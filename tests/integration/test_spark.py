"""Spark builds what DuckDB builds, from the same models; the lake takes its tables in; it scores and trains as we do.

Needs the extra: `make spark`.
"""

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import xgboost

from ml.bundle.scorer import Scorer
from ml.families.tree_based.boosted_trees import BoostedTrees
from tests.dbt_runs import dbt
from tests.model_factory import filled_home, shared_bundle
from tests.spark_process import BOOSTING
from tests.unit.ml.small_samples import TEST, TRAIN, TUNE, auc
from warehouse.lake.connection import connect, writer
from warehouse.settings import REPOSITORY, Settings
from warehouse.sources import ingest_files, ingest_simulated

pytestmark = pytest.mark.extended

pytest.importorskip("pyspark", reason="needs Apache Spark: make spark")
LAYERS = ("lenders", "staging", "core", "features", "training")


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, lending_club_file: Path, uci_credit_card_file: Path
) -> Iterator[Settings]:
    """A home whose lenders DuckDB has built, after a borrower was deleted; the environment names it."""
    directory = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JAVA_HOME", "LOANLAKE_CATALOG", "LOANLAKE_LAKE_DATA", "SPARK_REMOTE"):
            patch.delenv(name, raising=False)
        patch.setenv("LOANLAKE_HOME", str(directory / "home"))
        patch.setenv("LOANLAKE_SPARK_MASTER", "local[2]")
        patch.setenv("LOANLAKE_SPARK_PARTITIONS", "2")
        # a short life: compiling twice costs more than it brings
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        settings = Settings.from_environment()
        ingest_simulated(settings, applications=300, months=15)
        ingest_files("uci_credit_card", (few_lines(uci_credit_card_file, directory),), settings)
        ingest_files("lending_club", (few_lines(lending_club_file, directory),), settings)
        with writer("test", settings) as con:
            borrower = "select min(borrower_id) from raw.simulated_applications"
            for table in ("statements", "applications"):
                con.execute(f"delete from raw.simulated_{table} where borrower_id = ({borrower})")
        done = dbt(
            *("run", "--select", *LAYERS, "--target", "prod"),
            target=settings.home / "target",
            logs=settings.home / "logs",
        )
        assert done.returncode == 0, done.stdout
        yield settings


@pytest.fixture(scope="module")
def results(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process with Spark wrote: see tests/spark_process.py."""
    directory = tmp_path_factory.mktemp("results")
    with connect(filled_home()) as con:
        features = con.sql("from features.ftr_application_v1 order by application_id").arrow().read_all()
    pq.write_table(features, directory / "features.parquet")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.spark_process", str(directory), str(shared_bundle().directory)],
        capture_output=True, text=True, check=False, cwd=REPOSITORY,
        env={**os.environ, "DBT_LOG_PATH": str(home.home / "logs")},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return directory


def few_lines(file: Path, directory: Path) -> Path:
    """A file of 300 rows, of decisions of few months: each month is a partition of many tables."""
    with gzip.open(file, "rt") as lines:
        (directory / file.stem).write_text(next(lines) + "".join(islice(lines, 20_000, 20_300)))
    return directory / file.stem


def test_every_column_of_every_model_is_equal(home: Settings, results: Path) -> None:
    said = (results / "compare.txt").read_text()

    assert "differs" not in said
    with connect(home) as con:
        (n_models,) = con.execute(
            "select count(*) from information_schema.tables where table_catalog = 'lake' "
            "and table_schema in ('raw', 'staging', 'core', 'features', 'training')"
        ).fetchone() or (0,)
        n_trained = con.sql("select source, count(*) from training.trn_default_v2 group by all").fetchall()
    assert said.count(" columns, equal ") == n_models
    assert len(n_trained) == 3


def test_the_lake_takes_sparks_tables_in(home: Settings, results: Path) -> None:
    assert "training.trn_default_v2: " in (results / "register.txt").read_text()

    with connect(home) as con:
        author, newest = con.sql(
            "select author, snapshot_id from ducklake_snapshots('lake') order by snapshot_id desc limit 1"
        ).fetchone() or ("", 0)
        rows = "select * from training.trn_default_v2 {} order by application_id"
        before, after = (con.sql(rows.format(at)).fetchall() for at in (f"at (version => {newest - 1})", ""))
    assert author == "spark"
    assert [row[:7] for row in after] == [row[:7] for row in before]


def test_workers_of_spark_score_to_the_bit(results: Path) -> None:
    features = pq.read_table(results / "features.parquet").to_pandas()
    bundle = shared_bundle()

    found = pq.read_table(results / "scores.parquet").sort_by("application_id")

    expected = Scorer(bundle).score_matrix(bundle.design_matrix.encode(features))
    assert found["application_id"].to_pylist() == features["application_id"].tolist()
    assert np.array_equal(found["raw"].to_numpy(), expected.raw)
    assert np.array_equal(found["probability"].to_numpy(), expected.probability)
    assert found["decision"].to_pylist() == expected.decisions


def test_one_worker_of_spark_grows_the_same_trees(results: Path) -> None:
    here = BOOSTING.fit(TRAIN, TUNE, (1, 0, 0))

    assert (results / "one.ubj").read_bytes() == here.to_bytes()


def test_more_workers_than_cores_are_refused(results: Path) -> None:
    """Spark would wait for cores that never come."""
    assert (results / "too_many.txt").read_text() == (
        "spark_workers must be at most the number of Spark's cores, since all compute at the same time: found 3, and "
        "2 cores (LOANLAKE_SPARK_MASTER)"
    )


def test_two_workers_of_spark_grow_other_trees_always_the_same(results: Path) -> None:
    here = BOOSTING.fit(TRAIN, TUNE, (1, 0, 0))

    two = BoostedTrees(xgboost.Booster(model_file=str(results / "two.ubj")))

    assert two.to_bytes() == (results / "two_again.ubj").read_bytes()
    assert auc(two, TEST) == pytest.approx(auc(here, TEST), abs=0.01)
