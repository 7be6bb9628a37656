"""Drift of 40 features of one month's decisions against as many training rows: ours, and Evidently's preset.

Ours reads the lake. Evidently is given data frames that are already in memory.
Neither's imports are counted: ten seconds of Evidently, two of scipy. Each runs in a process of its own.
"""

import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb

from benchmarks.comparison import Comparison
from ml.monitoring.drift import compare_features
from ml.monitoring.samples import CURRENT, REFERENCE, MonitoredModel, open_decisions, open_reference
from warehouse.decision_log.features import features_table
from warehouse.features.columns import FeatureColumn
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import another, connect, current_snapshot, writer
from warehouse.settings import Settings

MONTH = date(2024, 1, 1)
MODEL = MonitoredModel("bench", "default_risk_bench", 1)
LABELS = ("a", "b", "c", "d")
CONTRACT = FeatureContract(
    version="v1",
    inputs=(),
    features=(
        *(
            FeatureColumn(f"number_{i}", "double", "A number.", "numeric", range=(0, 1000), reason="number")
            for i in range(34)
        ),
        *(
            FeatureColumn(f"label_{i}", "varchar", "A label.", "categorical", values=LABELS, reason="label")
            for i in range(6)
        ),
    ),
    sql="select 1 from inputs",
)


def run() -> list[Comparison]:
    """At 100,000 rows a side; ``LOANLAKE_BENCH_DRIFT_ROWS=100000,1000000`` for more, where Evidently takes minutes."""
    sizes = os.environ.get("LOANLAKE_BENCH_DRIFT_ROWS") or "100000"
    return [row for n_rows in map(int, sizes.split(",")) for row in _compare(n_rows)]


def _compare(n_rows: int) -> list[Comparison]:
    found: dict[str, list[dict[str, float]]] = {"ours": [], "evidently": []}
    with _lake(n_rows) as (home, snapshot):
        # in turn, each in a process of its own: what else the machine does slows both down alike
        for side in ("ours", "evidently", "ours"):
            found[side].append(_in_a_process(side, home, snapshot))
    what = f"drift of {len(CONTRACT.features)} features, {n_rows:,} decisions against {n_rows:,} training rows"
    return [
        Comparison(
            what=f"{what}: {name}",
            peer="Evidently DataDriftPreset",
            unit=unit,
            ours=statistics.median(figures[key] for figures in found["ours"]),
            peers=statistics.median(figures[key] for figures in found["evidently"]),
            higher_is_better=False,
        )
        for name, unit, key in (
            ("time", "s", "seconds"),
            ("processor time", "s", "processor_seconds"),
            ("memory of the process", "MiB", "peak_mib"),
        )
    ]


def _in_a_process(side: str, home: Path, snapshot: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.monitoring.drift", side, str(home), str(snapshot)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def _measure(side: str, home: Path, snapshot: int) -> dict[str, float]:
    """Seconds, processor seconds and peak memory of one side, in this process."""
    run_side = {"ours": _ours, "evidently": _evidently}[side]
    with connect(Settings.from_environment({"LOANLAKE_HOME": str(home)})) as con:
        work = run_side(con, snapshot)
        started, processor_started = time.perf_counter(), time.process_time()
        work()
        seconds, processor_seconds = time.perf_counter() - started, time.process_time() - processor_started
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "processor_seconds": processor_seconds, "peak_mib": peak_mib}


def _ours(con: duckdb.DuckDBPyConnection, snapshot: int) -> Callable[[], None]:
    # DuckDB imports pandas with the first parameter
    for module in ("scipy.stats", "pyarrow", "pandas"):
        importlib.import_module(module)
    con.execute("select $1", [1])

    def work() -> None:
        with another(con) as beside:
            n_reference = open_reference(beside, CONTRACT, source=MODEL.source, snapshot=snapshot)
            n_decisions = open_decisions(con, CONTRACT, MODEL)
            found = compare_features(con, CONTRACT, n_reference=n_reference, n_decisions=n_decisions, beside=beside)
        if len(found) != len(CONTRACT.features):
            raise RuntimeError(f"one figure for each of {len(CONTRACT.features)} features was due: found {len(found)}")

    return work


def _evidently(con: duckdb.DuckDBPyConnection, snapshot: int) -> Callable[[], None]:
    # before the import: Evidently reports its use to a server unless this variable exists
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    open_reference(con, CONTRACT, source=MODEL.source, snapshot=snapshot)
    open_decisions(con, CONTRACT, MODEL)
    reference = con.execute(f"select * exclude month from {REFERENCE}").df()
    current = con.execute(f"select * exclude month from {CURRENT}").df()
    definition = DataDefinition(
        numerical_columns=[feature.name for feature in CONTRACT.features if feature.kind == "numeric"],
        categorical_columns=[feature.name for feature in CONTRACT.features if feature.kind == "categorical"],
    )

    def work() -> None:
        report = Report([DataDriftPreset()]).run(
            Dataset.from_pandas(current, data_definition=definition),
            Dataset.from_pandas(reference, data_definition=definition),
        )
        report.json()

    return work


@contextmanager
def _lake(n_rows: int) -> Iterator[tuple[Path, int]]:
    columns = ", ".join(
        f"if(random() < 0.05, null, round(1000 * pow(random(), {1 + i % 3}), {i % 6})) as {feature.name}"
        if feature.kind == "numeric"
        else f"{list(LABELS)}[1 + (random() * 3.99)::integer % 4] as {feature.name}"
        for i, feature in enumerate(CONTRACT.features)
    )
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        settings = Settings.from_environment({"LOANLAKE_HOME": str(home)})
        with writer("benchmark", settings) as con:
            con.execute("select setseed(0.5)")
            con.execute(
                "create table training.trn_default_v1 as "
                f"select 't' || i as application_id, '{MODEL.source}' as source, 'train' as split, "
                f"timestamp '{MONTH}' as decided_at, {columns} "
                f"from range({n_rows}) as rows(i)"
            )
            snapshot = current_snapshot(con)
            con.execute(
                "insert into serving.predictions "
                "(decision_id, decided_at, source, probability, model_name, model_version) "
                f"select 'd' || i, timestamp '{MONTH}', $1, 0.5, $2, $3 from range({n_rows}) as rows(i)",
                [MODEL.source, MODEL.name, MODEL.version],
            )
            con.execute(
                f"create table {features_table(CONTRACT.version)} as "
                f"select 'd' || i as decision_id, {columns} from range({n_rows}) as rows(i)"
            )
        yield home, snapshot


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
