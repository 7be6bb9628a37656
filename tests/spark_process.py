"""What tests/integration/test_spark.py asks of Spark, in one process: each start of Spark takes ten seconds or more.

``python -m tests.spark_process DIRECTORY BUNDLE``; the home is the environment's. Results are files in the directory.
"""

import sys
from dataclasses import replace
from pathlib import Path

import click
import pyarrow.parquet as pq
from click.testing import CliRunner

from ml.bundle.bundle import load_bundle
from ml.families.tree_based.boosted_trees import GradientBoosting
from ml.spark.scoring import score
from tests.unit.ml.small_samples import TRAIN, TUNE
from warehouse.errors import SettingError
from warehouse.settings import Settings
from warehouse.spark.commands import build, compare, register
from warehouse.spark.session import spark_session

BOOSTING = GradientBoosting(max_trees=20, learning_rate=0.1, max_depth=3, min_child_weight=5, patience=10, threads=1)
MODELS = {"one": 1, "two": 2, "two_again": 2}


def keep(directory: Path, command: click.Command, *arguments: str) -> None:
    """Keep what a command prints; it must succeed."""
    done = CliRunner().invoke(command, arguments)
    (directory / f"{command.name}.txt").write_text(done.output)
    if done.exit_code != 0:
        raise SystemExit(f"loanlake spark {command.name}: {done.output[-3000:]} {done.exception!r}")


def scores(directory: Path, bundle: Path) -> None:
    """What workers of Spark make of the rows of ``features.parquet``."""
    rows = spark_session(Settings.from_environment()).read.parquet(str(directory / "features.parquet"))
    pq.write_table(score(rows.repartition(2), load_bundle(bundle)).toArrow(), directory / "scores.parquet")


def models(directory: Path) -> None:
    """Boosters of one worker, and twice of two; three must be refused by two cores."""
    for name, workers in MODELS.items():
        model = replace(BOOSTING, spark_workers=workers).fit(TRAIN, TUNE, (1, 0, 0))
        (directory / f"{name}.ubj").write_bytes(model.to_bytes())
    try:
        replace(BOOSTING, spark_workers=3).fit(TRAIN, TUNE, (1, 0, 0))
    except SettingError as error:
        (directory / "too_many.txt").write_text(str(error))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    keep(place, build)
    keep(place, compare)
    scores(place, Path(sys.argv[2]))
    models(place)
    keep(place, register, "training.trn_default_v2")
