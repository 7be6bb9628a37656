"""The main run's SQL and fit without the platform: ``python -m benchmarks.whole_path.bare_path HOME``.

One process: a plain DuckDB file takes the tables of a finished home that dbt did not build, runs every model's SQL as
dbt compiled it, in dbt's order, and grows the served model's trees from the training rows. No snapshots, tests, checks,
gates, calibration, registry, scores, drift, reports or pages; generated files are not written, and rows are not typed
from text files but copied. The home is only read.
"""

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from ml.families.tree_based.boosted_trees import GradientBoosting
from ml.training.design_matrix import DesignMatrix
from ml.training.fitting import training_settings_of
from ml.training.samples import Samples
from ml.training.training_set import read_training_set
from orchestration.lib.feature_versions import feature_contract
from warehouse.lake.connection import attach, connect
from warehouse.lenders.rules import read_lender, settings_text
from warehouse.settings import DBT_PROJECT_DIR, Settings
from warehouse.sql.quoting import literal

LENDER = "simulated"
#: dbt's artefacts of the main run's three builds, in their order.
BUILDS = ("target", "dbt_training", "dbt_monitoring")


def main(home: Path) -> None:
    """Run both, and print how many models and trees that was."""
    settings = Settings.from_environment({"LOANLAKE_HOME": str(home)})
    with tempfile.TemporaryDirectory(prefix="loanlake-bench-") as directory:
        started = time.perf_counter()
        n_models = run_models(settings, Path(directory) / "bare.duckdb")
        of_models = time.perf_counter() - started
        n_trees = grow_trees(settings)
    print(json.dumps({"models": n_models, "trees": n_trees, "seconds_of_models": of_models}))


def run_models(settings: Settings, file: Path) -> int:
    """Build every model in a file that is called ``lake`` in the SQL; returns how many."""
    nodes, order = _models(settings)
    with duckdb.connect() as con:
        attach(con, settings, read_only=True, name="finished")
        con.execute(f"attach {literal(str(file))} as lake")
        con.execute(
            f"create table memory.main.lender_settings as select {literal(settings_text(DBT_PROJECT_DIR))} as settings"
        )
        con.execute("use lake")
        built = {(node["schema"], node["alias"]) for node in nodes.values() if node["resource_type"] == "model"}
        finished = "from information_schema.tables where table_catalog = 'finished'"
        for schema, table, kind in con.execute(f"select table_schema, table_name, table_type {finished}").fetchall():
            con.execute(f'create schema if not exists lake."{schema}"')
            if (schema, table) not in built and kind == "BASE TABLE":
                con.execute(f'create table lake."{schema}"."{table}" as from finished."{schema}"."{table}"')
        for name in order:
            node = nodes[name]
            kind = "view" if node["config"]["materialized"] == "view" else "table"
            con.execute(f'create {kind} lake."{node["schema"]}"."{node["alias"]}" as {node["compiled_code"]}')
    return len(order)


def grow_trees(settings: Settings) -> int:
    """Fit with early stopping, then again on all rows, as the run did; returns the number of trees."""
    contract = feature_contract(settings, source=LENDER)
    with connect(settings) as con:
        rows = read_training_set(con, LENDER, feature_version=contract.version)
    wanted = training_settings_of(read_lender(LENDER))
    if not isinstance(wanted.model, GradientBoosting) or not wanted.refit:
        raise RuntimeError(f"the peer of {LENDER} grows boosted trees, with a refit: found {wanted}")
    samples = Samples(rows, DesignMatrix.from_contract(contract, ()), wanted.half_life_months).read_by(wanted.model)
    monotone = samples.design_matrix.monotone_constraints
    first = wanted.model.fit(samples.train, samples.tune, monotone)
    return int(wanted.model.refit(first, samples.both, monotone).booster.num_boosted_rounds())


def _models(settings: Settings) -> tuple[Mapping[str, Any], list[str]]:
    """Each model with its compiled SQL, and their names in the order in which dbt built them."""
    nodes: dict[str, Any] = {}
    order: list[str] = []
    for build in BUILDS:
        target = settings.dbt_target.with_name(build)
        manifest = json.loads((target / "manifest.json").read_text())["nodes"]
        results = json.loads((target / "run_results.json").read_text())["results"]
        names = [each["unique_id"] for each in results if each["unique_id"].startswith("model.")]
        nodes |= {name: manifest[name] for name in names}
        order += names
    return nodes, order


if __name__ == "__main__":
    main(Path(sys.argv[1]))
