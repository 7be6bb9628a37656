"""The dbt project: its manifest, its nodes' names, and what failed in a run.

Dagster draws the asset graph from the manifest of ``dbt parse``, which takes seconds and runs only if the project has
changed. Commands read it too, so this module imports neither dbt nor dagster-dbt, which imports dbt (2 s).
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.dbt_process import DBT_COMMAND
from warehouse.errors import DbtProjectError
from warehouse.files.turns import file_turn
from warehouse.settings import DBT_PROJECT_DIR, Settings

_SOURCE_SUFFIXES = {".sql", ".yml", ".yaml", ".csv", ".md"}
#: dbt's parse, from which the next starts.
PARTIAL_PARSE = "partial_parse.msgpack"
#: What a failed step says of its models that failed: each by its name, with the seconds that it took.
FAILED_TABLES = "failed tables"
#: The platform builds production's lake; other builds go to people's own.
TARGET = "prod"


def prepared_manifest(settings: Settings, *, project_dir: Path = DBT_PROJECT_DIR) -> Path:
    """The current project's manifest, parsed if files have changed; raises DbtProjectError with dbt's message."""
    manifest, stamp = settings.dbt_parsed / "manifest.json", settings.dbt_parsed / "project.sha256"
    settings.dbt_parsed.mkdir(parents=True, exist_ok=True)
    # webserver, daemon and runs may load the definitions at the same time: one parses, the others wait
    with file_turn(settings.dbt_parsed / "parse.lock"):
        fingerprint = project_fingerprint(project_dir)
        if is_parsed(settings, fingerprint):
            return manifest
        working = settings.dbt_parsed / "working"
        run_dbt(["parse"], settings, target=working, project_dir=project_dir, doing="parse the project")
        _refuse_cycle(json.loads((working / "manifest.json").read_text()))
        # atomic for the manifest's readers
        shutil.copy2(working / "manifest.json", settings.dbt_parsed / "manifest.new")
        (settings.dbt_parsed / "manifest.new").replace(manifest)
        stamp.write_text(fingerprint)
    return manifest


def is_parsed(settings: Settings, fingerprint: str) -> bool:
    """Whether the home has the manifest of the project with this :func:`project_fingerprint`."""
    stamp = settings.dbt_parsed / "project.sha256"
    return (settings.dbt_parsed / "manifest.json").exists() and stamp.exists() and stamp.read_text() == fingerprint


def run_dbt(arguments: Sequence[str], settings: Settings, *, target: Path, project_dir: Path, doing: str) -> None:
    """Run dbt into ``target`` and wait; DbtProjectError has dbt's message and ``doing`` ("parse the project")."""
    command = [*DBT_COMMAND, "--quiet", *arguments, "--no-use-colors"]
    command += ["--project-dir", str(project_dir), "--profiles-dir", str(project_dir), "--target", TARGET]
    command += ["--target-path", str(target), "--log-path", str(target)]
    environment = {**os.environ, "LOANLAKE_HOME": str(settings.home), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    # this environment's dbt, a list and no shell: our arguments, the operator's paths
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=project_dir)  # noqa: S603
    if done.returncode != 0:
        raise DbtProjectError(f"dbt cannot {doing} in {project_dir}:\n{done.stdout.strip()}{done.stderr.strip()}")


def project_fingerprint(project_dir: Path) -> str:
    """SHA-256 over the names and contents of the project's files, without dbt's artefacts."""
    digest = hashlib.sha256()
    for path in sorted(_project_files(project_dir)):
        digest.update(f"{path.relative_to(project_dir)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build_failures(target: Path) -> list[str]:
    """Failures of the dbt run with artefacts in ``target``: "name (why)" each; empty if none.

    Includes failures that dbt does not report as an asset check: models, and tests of several models.
    """
    return [
        f"{result['unique_id'].split('.')[2]} ({_one_line(result.get('message') or result['status'])})"
        for result in run_results(target).get("results", ())
        if result["status"] in {"error", "fail", "runtime error"}
    ]


def failed_tables(target: Path) -> dict[str, float]:
    """Models that failed in the dbt run with artefacts in ``target``, and the seconds that each took.

    Named as assets are, such as ``core.int_loans``; a model that dbt skipped after them did not run.
    """
    failed = {
        result["unique_id"]: float(result.get("execution_time") or 0.0)
        for result in run_results(target).get("results", ())
        if result["status"] == "error" and result["unique_id"].startswith("model.")
    }
    if not failed:
        return {}
    nodes = json.loads((target / "manifest.json").read_text())["nodes"]
    return {".".join(asset_key(nodes[each]).path): seconds for each, seconds in failed.items()}


def run_results(target: Path) -> Mapping[str, Any]:
    """What the dbt run with artefacts in ``target`` left; empty before the first, ``metadata`` has the run's id."""
    path = target / "run_results.json"
    found: Mapping[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def asset_key(node: Mapping[str, Any]) -> dg.AssetKey:
    """``<schema>/<table>`` of a dbt model or source."""
    if node["resource_type"] == "source":
        return dg.AssetKey([node["schema"], node["identifier"]])
    return dg.AssetKey([node["config"]["schema"], node["alias"]])


def _one_line(message: str) -> str:
    # the first line of dbt's error repeats the model's name, the last ones point at the SQL
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return " ".join(lines[1:3]) if len(lines) > 1 else "".join(lines)


def _refuse_cycle(manifest: Mapping[str, Any]) -> None:
    """dbt accepts models in a circle when parsing, and refuses them only when building."""
    nodes = manifest["nodes"]
    try:
        TopologicalSorter({key: node["depends_on"].get("nodes", ()) for key, node in nodes.items()}).prepare()
    except CycleError as error:
        circle = " → ".join(nodes[key]["original_file_path"] for key in error.args[1])
        raise DbtProjectError(
            f"models select from each other in a circle, each read by the next: {circle}; take one of these refs out"
        ) from None


def _project_files(project_dir: Path) -> Iterator[Path]:
    written_by_dbt = {"target", "logs", "dbt_packages"}
    for root, directories, names in os.walk(project_dir):
        directories[:] = [
            name for name in directories if name not in written_by_dbt and not name.startswith((".", "_"))
        ]
        yield from (Path(root, name) for name in names if Path(name).suffix in _SOURCE_SUFFIXES and name[0] != ".")
