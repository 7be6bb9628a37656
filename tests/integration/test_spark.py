"""Spark builds what DuckDB builds, from the same models, and the lake takes its tables in.

Needs the extra: `make spark`. Each command is a process of its own, as it is for a user.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dbt_runs import dbt
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings
from warehouse.sources import ingest_files, ingest_simulated

pytestmark = pytest.mark.extended

pytest.importorskip("pyspark", reason="needs Apache Spark: make spark")
LAYERS = ("lenders", "staging", "core", "features", "training")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, uci_credit_card_file: Path) -> Iterator[Settings]:
    """A home whose lenders both engines have built, after a borrower was deleted."""
    home = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JAVA_HOME", "LOANLAKE_CATALOG", "LOANLAKE_LAKE_DATA", "SPARK_REMOTE"):
            patch.delenv(name, raising=False)
        patch.setenv("LOANLAKE_HOME", str(home / "home"))
        patch.setenv("LOANLAKE_SPARK_MASTER", "local[2]")
        patch.setenv("LOANLAKE_SPARK_PARTITIONS", "2")
        # a short life: compiling twice costs more than it brings
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        settings = Settings.from_environment()
        ingest_simulated(settings, applications=300)
        ingest_files("uci_credit_card", (uci_credit_card_file,), settings)
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
        spark(settings, "build")
        yield settings


def spark(settings: Settings, *arguments: str) -> str:
    """What `loanlake spark` prints; it must succeed."""
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("loanlake")), "spark", *arguments],
        capture_output=True, text=True, check=False,
        env={**os.environ, "DBT_LOG_PATH": str(settings.home / "logs")},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended.stdout


def test_every_column_of_every_model_is_equal(built: Settings) -> None:
    said = spark(built, "compare")

    assert "differs" not in said
    with connect(built) as con:
        (n_models,) = con.execute(
            "select count(*) from information_schema.tables where table_catalog = 'lake' "
            "and table_schema in ('raw', 'staging', 'core', 'features', 'training')"
        ).fetchone() or (0,)
    assert said.count(" columns, equal ") == n_models


def test_the_lake_takes_sparks_tables_in(built: Settings) -> None:
    with connect(built) as con:
        before = con.sql("select * from training.trn_default_v2 order by application_id").fetchall()

    spark(built, "register", "training.trn_default_v2")

    with connect(built) as con:
        after = con.sql("select * from training.trn_default_v2 order by application_id").fetchall()
        author = con.sql("select author from ducklake_snapshots('lake') order by snapshot_id desc limit 1").fetchone()
    assert author == ("spark",)
    assert [row[:7] for row in after] == [row[:7] for row in before]
