"""A lake table scored into the lake, against XGBoost's bare ``inplace_predict`` on arrays that are in memory already.

The same model (up to 400 trees of depth 5, 48 features). Ours reads features that dbt would have built out of Parquet,
encodes, scores, calibrates, bands, and puts every row into ``serving.batch_scores``; the peer is given a float32 array,
and its raw scores go nowhere. Rows: ``LOANLAKE_BENCH_BATCH_ROWS``, a million unless set. Rows a second of processor
time are compared: ours uses every core by the clock, the peer one. The two take turns, ``LOANLAKE_BENCH_ROUNDS`` times
(default 3), since other work on the machine is felt by whichever runs; the least of each counts.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.comparison import Comparison
from ml.batches.runs import run_batch
from ml.bundle.bundle import Bundle, write_bundle
from ml.families.tree_based.boosted_trees import BoostedTrees
from ml.registry.registered_version import RegisteredVersion, keep_version
from ml.rollout.promotion import publish
from ml.training.fitting import TrainingSettings
from warehouse.batches import BatchRequest, BatchStates
from warehouse.features.columns import FeatureColumn, InputColumn
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

ROWS = int(os.environ.get("LOANLAKE_BENCH_BATCH_ROWS") or 1_000_000)
TABLE, SOURCE, MODEL_NAME = "features.portfolio", "bench", "default_risk_bench"
LABELS = ("a", "b", "c", "d")
FEATURES = (
    *(
        FeatureColumn(f"number_{i}", "double", "A number.", "numeric", range=(0, 1000), reason="number")
        for i in range(35)
    ),
    *(FeatureColumn(f"count_{i}", "integer", "A count.", "numeric", range=(0, 60), reason="count") for i in range(10)),
    *(
        FeatureColumn(f"label_{i}", "varchar", "A label.", "categorical", values=LABELS, reason="label")
        for i in range(2)
    ),
    FeatureColumn("flag", "boolean", "A flag.", "boolean", reason="flag"),
)
INPUTS = tuple(
    InputColumn(feature.name, feature.data_type, feature.description, "request", values=feature.values)
    for feature in FEATURES
)
CONTRACT = FeatureContract(
    "v1",
    inputs=INPUTS,
    features=FEATURES,
    sql=f"select {', '.join(feature.name for feature in FEATURES)} from ftr_application_inputs",
)


def run() -> list[Comparison]:
    """Rows a second of processor time of either; clock and memory of ours are printed on the way."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings.from_environment({"LOANLAKE_HOME": f"{directory}/home"})
        bundle = _furnish(settings, Path(directory))
        matrix = _in_memory(settings, bundle)
        model = bundle.read_model()
        ours, peers = [], []
        for number in range(int(os.environ.get("LOANLAKE_BENCH_ROUNDS", "3"))):
            ours.append(_scored(settings, f"b-{number}"))
            began = time.process_time()
            model.raw_scores(matrix)
            peers.append(time.process_time() - began)
            print(f"  {ROWS:,} rows, bare: {peers[-1]:.1f} s of processor time", file=sys.stderr)
    print(f"  the peer's array alone takes {matrix.nbytes / 1e9:.2f} GB", file=sys.stderr)
    return [
        Comparison(
            f"a table of {ROWS:,} rows × {len(FEATURES)} features scored lake to lake, {_n_trees(bundle)} trees",
            "bare inplace_predict on an array in memory",
            "rows/s of processor time",
            ROWS / min(ours),
            ROWS / min(peers),
            higher_is_better=True,
        )
    ]


def _furnish(settings: Settings, directory: Path) -> Bundle:
    """A table to score, and a model that was trained on rows like it."""
    from ml.families.tree_based.boosted_trees import GradientBoosting
    from ml.judging.evaluation import evaluate
    from ml.training.fitting import train
    from ml.training.lineage import collect_lineage
    from ml.training.reference import build_reference
    from ml.training.training_set import read_training_set

    with writer("benchmark", settings) as con:
        con.execute("select setseed(0.5)")
        con.execute(
            f"create table {TABLE} as select 'app-' || i as application_id, {_columns()} from range({ROWS}) r(i)"
        )
        con.execute(
            "create table training.trn_default_v1 as select *, "
            "random() < 1 / (1 + exp(3 - coalesce(number_0, 300) / 250 - coalesce(number_1 * count_0, 1800) / 9000)) "
            "as is_default from (select 't' || i as application_id, 'b' || i as borrower_id, "
            f"'{SOURCE}' as source, timestamp '2020-01-01' + to_days((i // 28)::integer) as decided_at, "
            "case when i < 12000 then 'train' when i < 16000 then 'tune' else 'test' end as split, "
            f"timestamp '2024-01-01' as label_known_at, {_columns()} from range(20000) r(i))"
        )
    with connect(settings) as con:
        training_set = read_training_set(con, SOURCE, feature_version="v1")
    trees = GradientBoosting(max_trees=400, max_depth=5, learning_rate=0.015)
    candidate = train(training_set, CONTRACT, TrainingSettings(model=trees, calibration="beta"))
    bundle = write_bundle(
        directory / "bundle",
        candidate,
        CONTRACT,
        evaluation=evaluate(candidate, training_set),
        lineage=collect_lineage(candidate, training_set, CONTRACT, by="benchmark"),
        reference=build_reference(candidate, training_set, sample_rows=100),
    )
    version = RegisteredVersion.of_bundle(bundle, name=MODEL_NAME, version=1)
    keep_version(settings, version, bundle)
    publish(settings, version, by="benchmark")
    return bundle


def _columns() -> str:
    """A twentieth of the values missing, in every kind of column."""
    sql = {
        "double": "round(1000 * pow(random(), 2), 2)",
        "integer": "(random() * 12)::integer",
        "varchar": f"{list(LABELS)}[1 + (random() * 3.99)::integer % 4]",
        "boolean": "random() < 0.5",
    }
    return ", ".join(f"if(random() < 0.05, null, {sql[each.data_type]}) as {each.name}" for each in FEATURES)


def _in_memory(settings: Settings, bundle: Bundle) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    names = ", ".join(feature.name for feature in FEATURES)
    matrix = np.empty((ROWS, len(bundle.design_matrix.columns)), dtype=np.float32)
    begin = 0
    with connect(settings) as con:
        for batch in con.execute(f"select {names} from {TABLE}").to_arrow_reader(100_000):
            matrix[begin : begin + batch.num_rows] = bundle.design_matrix.encode_batch(batch)
            begin += batch.num_rows
    return matrix


def _n_trees(bundle: Bundle) -> int:
    model = bundle.read_model()
    if not isinstance(model, BoostedTrees):
        raise TypeError(f"the benchmark's model must be boosted trees: found {type(model).__name__}")
    return int(model.booster.num_boosted_rounds())


def _scored(settings: Settings, batch_id: str) -> float:
    """Processor seconds of a batch from claimed to in the lake, in a process of its own, as Dagster has it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.batch", batch_id],
        env={**os.environ, "LOANLAKE_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    print(f"  {ROWS:,} rows, lake to lake: {done.stdout.strip()}", file=sys.stderr)
    return float(done.stdout.split()[0])


def _score_here(batch_id: str) -> None:
    settings = Settings.from_environment()
    BatchStates(settings).add(batch_id, BatchRequest(source=SOURCE, table=TABLE), caller_id="benchmark", body_sha256="")
    started, cpu = time.perf_counter(), time.process_time()
    batch = run_batch(settings, batch_id, run_id="benchmark")
    seconds = time.perf_counter() - started
    if batch is None or batch.n_scored != ROWS:
        raise RuntimeError(f"{ROWS:,} rows were to be scored: found {batch}")
    spent = time.process_time() - cpu
    print(f"{spent:.2f} s of processor time, {seconds:.1f} s by the clock, {_peak_bytes() / 1e9:.2f} GB at most")


def _peak_bytes() -> int:
    """Of this process: what getrusage says includes its parent's memory at the fork."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


if __name__ == "__main__":
    _score_here(sys.argv[1])
