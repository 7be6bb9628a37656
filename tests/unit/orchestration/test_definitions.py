"""The asset graph, jobs, schedules and sensors as text: a change to any of them shows in review as a changed line.

``LOANLAKE_TEST_UPDATE_SNAPSHOTS=1 pytest tests/unit/orchestration/test_definitions.py`` writes the files anew.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from ml.judging.gates import GATES
from orchestration.defs.training.checks import gates
from orchestration.lib.layers import LAKE_WRITER
from warehouse.settings import REPOSITORY, Settings

SNAPSHOTS = Path(__file__).with_name("snapshots")
GiveParse = Callable[[Settings], None]
HEAVY = ("mlflow", "evidently", "xgboost", "pandas", "pandera", "sklearn", "onnxruntime", "matplotlib")

#: The groups of the asset graph, in the order rows travel.
LAYERS = (
    "raw",
    "staging",
    "core",
    "features",
    "training",
    "model",
    "models",
    "serving",
    "portfolio",
    "monitoring",
    "walk_forward",
    "maintenance",
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, give_parse: GiveParse) -> Iterator[dg.RepositoryDefinition]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOANLAKE_HOME", str(tmp_path_factory.mktemp("definitions") / "home"))
        give_parse(Settings.from_environment())
        from orchestration.definitions import definitions

        yield definitions().get_repository_def()


def assert_snapshot(name: str, lines: list[str]) -> None:
    path, text = SNAPSHOTS / f"{name}.txt", "\n".join(lines) + "\n"
    if os.environ.get("LOANLAKE_TEST_UPDATE_SNAPSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def keys(found: object) -> str:
    return ", ".join(sorted(key.to_user_string() for key in found)) or "-"  # type: ignore[attr-defined]


def partitions(found: dg.PartitionsDefinition | None) -> str:
    match found:
        case None:
            return ""
        case dg.StaticPartitionsDefinition():
            return " [lender]"
        case dg.MultiPartitionsDefinition():
            return f" [{', '.join(sorted(found.partition_dimension_names))}]"
        case _:
            return " [month]"


def test_assets_and_what_they_are_made_from(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    nodes = sorted(
        (graph.get(key) for key in graph.get_all_asset_keys()),
        key=lambda node: (LAYERS.index(node.group_name), node.key),
    )

    assert_snapshot(
        "asset_graph",
        [f"{node.key.to_user_string()}{partitions(node.partitions_def)} <- {keys(node.parent_keys)}" for node in nodes],
    )


def test_jobs_and_their_steps(repository: dg.RepositoryDefinition) -> None:
    jobs = sorted((job for job in repository.get_all_jobs() if not job.name.startswith("__")), key=lambda job: job.name)

    assert_snapshot("jobs", [f"{job.name}: {', '.join(sorted(node.name for node in job.nodes))}" for job in jobs])


def test_alerts_are_sent_of_the_versions_that_the_same_run_has_put_in_service(
    repository: dg.RepositoryDefinition,
) -> None:
    """A training's own run reported the alerts of the version that it had replaced."""
    steps = {job.name: {node.name for node in job.nodes} for job in repository.get_all_jobs()}
    measuring = {name for name, names in steps.items() if "dbt_monitoring" in names}

    assert {"default_risk", "retrain", "monitor"} <= measuring
    assert {name for name in measuring if "serving__deployment_changes" not in steps[name]} == set()


def test_schedules_and_sensors(repository: dg.RepositoryDefinition) -> None:
    schedules = sorted(repository.schedule_defs, key=lambda schedule: schedule.name)
    sensors = sorted(repository.sensor_defs, key=lambda sensor: sensor.name)

    assert_snapshot(
        "schedules_and_sensors",
        [f"schedule {s.name}: {s.cron_schedule}, {s.job_name}, {s.default_status.value}" for s in schedules]
        + [
            f"sensor {s.name}: every {s.minimum_interval_seconds} s, {s.job_name}, {s.default_status.value}"
            for s in sensors
        ],
    )


def test_every_dbt_test_of_severity_error_blocks(repository: dg.RepositoryDefinition) -> None:
    """Prevents a dbt test from being shown as a check that stops nothing."""
    manifest = json.loads((Settings.from_environment().dbt_parsed / "manifest.json").read_text())
    warnings = {node["name"] for node in manifest["nodes"].values() if node["config"].get("severity") == "warn"}
    graph = repository.asset_graph

    idle = {key.name for key in graph.asset_check_keys if not graph.get_check_spec(key).blocking}

    assert idle <= warnings


def test_every_step_that_writes_to_the_lake_takes_its_turn_in_the_pool(repository: dg.RepositoryDefinition) -> None:
    pools = {step.op.name: step.op.pool for step in repository.assets_defs_by_key.values() if step.is_executable}

    idle = {name for name, pool in pools.items() if pool != LAKE_WRITER}

    # these read the lake, and write files, MLflow or LMDB; a batch and a comparison write at their end, under the lease
    # alone, since they may take long
    assert idle == {
        "training__training_set",
        "model__candidate",
        "model__evaluation",
        "models__comparison",
        "serving__online_store",
        "serving__deployment",
        "serving__canary",
        "serving__champion_watch",
        "serving__approved_version",
        "serving__batch_scores",
        "serving__predictions",
        "monitoring__drift_report",
        "monitoring__pages",
        "maintenance__backup",
    }


def test_the_checks_of_a_version_are_the_gates_of_ml() -> None:
    """Prevents a gate that is added to ``ml`` from not being shown, or not stopping anything."""
    specs = {spec.name: spec for spec in gates.check_specs}

    assert {name: (spec.description, spec.blocking) for name, spec in specs.items()} == {
        gate.name: (gate.claim, True) for gate in GATES
    }


def test_definitions_load_without_the_numerical_libraries(home: Settings, give_parse: GiveParse) -> None:
    """Prevents a module-level import from costing every run, sensor tick and reload of the UI ten seconds."""
    script = (
        "import json, sys, time\n"
        "from orchestration.definitions import definitions\n"
        "definitions().get_repository_def()\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(json.dumps({'heavy': heavy, 'seconds': time.process_time()}))\n"
    )
    give_parse(home)

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=REPOSITORY)

    found = json.loads(done.stdout.splitlines()[-1])
    assert found["heavy"] == []
    assert found["seconds"] < 20
