"""Drift of 40 features of one month's decisions against as many training rows: our SQL, and Evidently's preset.

Ours reads the lake. Evidently is given data frames that are already in memory.
Neither's imports are counted: ten seconds of Evidently, two of scipy.
"""

import importlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb

from benchmarks.comparison import Comparison
from ml.monitoring.drift import compare_features
from ml.monitoring.samples import CURRENT, REFERENCE, MonitoredModel, load_decisions, load_reference
from warehouse.decision_log.features import features_table
from warehouse.features.columns import FeatureColumn
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import current_snapshot, writer
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
    sql="select 1",
)


def run() -> list[Comparison]:
    """At 10,000 and at 100,000 rows a side; above that only ours is worth waiting for."""
    importlib.import_module("scipy.stats")
    return [_compare(10_000), _compare(100_000)]


def _compare(n_rows: int) -> Comparison:
    with _lake(n_rows) as (con, snapshot):
        started = time.perf_counter()
        load_reference(con, CONTRACT, source=MODEL.source, snapshot=snapshot)
        load_decisions(con, CONTRACT, MODEL)
        found = compare_features(con, CONTRACT)
        ours = time.perf_counter() - started
        peers = _evidently(con, snapshot)
    if len(found) != len(CONTRACT.features):
        raise RuntimeError(f"one figure for each of {len(CONTRACT.features)} features was due: found {len(found)}")
    return Comparison(
        what=f"drift of {len(CONTRACT.features)} features, {n_rows:,} decisions against {n_rows:,} training rows",
        peer="Evidently DataDriftPreset",
        unit="s",
        ours=ours,
        peers=peers,
        higher_is_better=False,
    )


def _evidently(con: duckdb.DuckDBPyConnection, snapshot: int) -> float:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    load_reference(con, CONTRACT, source=MODEL.source, snapshot=snapshot)
    load_decisions(con, CONTRACT, MODEL)
    reference = con.execute(f"select * exclude month from {REFERENCE}").df()
    current = con.execute(f"select * exclude month from {CURRENT}").df()
    definition = DataDefinition(
        numerical_columns=[feature.name for feature in CONTRACT.features if feature.kind == "numeric"],
        categorical_columns=[feature.name for feature in CONTRACT.features if feature.kind == "categorical"],
    )

    started = time.perf_counter()
    report = Report([DataDriftPreset()]).run(
        Dataset.from_pandas(current, data_definition=definition),
        Dataset.from_pandas(reference, data_definition=definition),
    )
    report.json()
    return time.perf_counter() - started


@contextmanager
def _lake(n_rows: int) -> Iterator[tuple[duckdb.DuckDBPyConnection, int]]:
    columns = ", ".join(
        f"if(random() < 0.05, null, round(1000 * pow(random(), {1 + i % 3}), {i % 6})) as {feature.name}"
        if feature.kind == "numeric"
        else f"{list(LABELS)}[1 + (random() * 3.99)::integer % 4] as {feature.name}"
        for i, feature in enumerate(CONTRACT.features)
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_environment({"LOANLAKE_HOME": str(Path(folder) / "home")})
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
            yield con, snapshot
