"""The dbt project in Dagster: its manifest, and how its nodes are named and run.

Dagster draws the asset graph from the manifest of ``dbt parse``, which takes seconds and runs only if the project has
changed.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliInvocation, DbtCliResource, DbtProject
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from packaging.version import Version

from orchestration.lib.layers import DECISION_HISTORY, PREDICTIONS, SHADOW_PREDICTIONS
from warehouse.errors import DbtProjectError
from warehouse.files.turns import file_turn
from warehouse.settings import DBT_PROJECT_DIR, Settings

_SOURCE_SUFFIXES = {".sql", ".yml", ".yaml", ".csv", ".md"}
_PARTIAL_PARSE = "partial_parse.msgpack"
#: The platform builds production's lake; other builds go to people's own.
_TARGET = "prod"
DBT = Path(sys.executable).with_name("dbt")


def prepared_manifest(settings: Settings, *, project_dir: Path = DBT_PROJECT_DIR) -> Path:
    """The current project's manifest, parsed if files have changed; raises DbtProjectError with dbt's message."""
    manifest, stamp = settings.dbt_parsed / "manifest.json", settings.dbt_parsed / "project.sha256"
    settings.dbt_parsed.mkdir(parents=True, exist_ok=True)
    # webserver, daemon and runs may load the definitions at the same time: one parses, the others wait
    with file_turn(settings.dbt_parsed / "parse.lock"):
        fingerprint = project_fingerprint(project_dir)
        if manifest.exists() and stamp.exists() and stamp.read_text() == fingerprint:
            return manifest
        working = settings.dbt_parsed / "working"
        run_dbt(["parse"], settings, target=working, project_dir=project_dir, doing="parse the project")
        _refuse_cycle(json.loads((working / "manifest.json").read_text()))
        # atomic for the manifest's readers
        shutil.copy2(working / "manifest.json", settings.dbt_parsed / "manifest.new")
        (settings.dbt_parsed / "manifest.new").replace(manifest)
        stamp.write_text(fingerprint)
    return manifest


def run_dbt(arguments: Sequence[str], settings: Settings, *, target: Path, project_dir: Path, doing: str) -> None:
    """Run dbt into ``target`` and wait; DbtProjectError has dbt's message and ``doing`` ("parse the project")."""
    command = [str(DBT), "--quiet", *arguments, "--no-use-colors"]
    command += ["--project-dir", str(project_dir), "--profiles-dir", str(project_dir), "--target", _TARGET]
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


@contextmanager
def failures_named(target: Path) -> Iterator[None]:
    """Run dbt with its artefacts in ``target``; an error names what failed.

    A run that ended early leaves the previous one's results: then only dagster-dbt's error has a message.
    """
    before = _run_results(target).get("metadata")
    try:
        yield
    except DagsterDbtCliRuntimeError:
        failures = build_failures(target) if _run_results(target).get("metadata") != before else []
        if not failures:
            raise
        raise dg.Failure(f"dbt build: {len(failures)} failed: {'; '.join(failures)}", allow_retries=False) from None


def build_failures(target: Path) -> list[str]:
    """Failures of the dbt run with artefacts in ``target``: "name (why)" each; empty if none.

    Includes failures that dbt does not report as an asset check: models, and tests of several models.
    """
    return [
        f"{result['unique_id'].split('.')[2]} ({_one_line(result.get('message') or result['status'])})"
        for result in _run_results(target).get("results", ())
        if result["status"] in {"error", "fail", "runtime error"}
    ]


def _run_results(target: Path) -> Mapping[str, Any]:
    """Empty before the first run; ``metadata`` has the run's id."""
    path = target / "run_results.json"
    found: Mapping[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


class LayeredTranslator(DagsterDbtTranslator):
    """Names every dbt node ``<layer>/<table>``, as SQL does, and groups it by its layer."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=True, enable_source_tests_as_checks=True))

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The spec of one node; sources get the keys of the assets that fill them."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = self.get_resource_props(manifest, unique_id)
        key = asset_key(node)
        # a view needs existing tables, not their rows, which later steps write
        deps = [
            dep
            for dep in spec.deps
            if key != DECISION_HISTORY or dep.asset_key not in (PREDICTIONS, SHADOW_PREDICTIONS)
        ]
        return spec.replace_attributes(key=key, group_name=key.path[0], kinds={"dbt", "duckdb"}, deps=deps)


def asset_key(node: Mapping[str, Any]) -> dg.AssetKey:
    """``<schema>/<table>`` of a dbt model or source."""
    if node["resource_type"] == "source":
        return dg.AssetKey([node["schema"], node["identifier"]])
    return dg.AssetKey([node["config"]["schema"], node["alias"]])


class Dbt(DbtCliResource):
    """dbt as a subprocess, with its artefacts under the home; it starts from the parse made for the asset graph."""

    @cached_property
    def _cli_version(self) -> Version:
        # dagster-dbt would run `dbt --version` (3.7 s), which asks PyPI for newer releases
        return Version(installed_version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        # dagster-dbt would load dbt and the profile into this process too, to count rows on a connection of its own:
        # 1.6 s of processor time for a process's first command and 0.8 s for each other; the lake's readers count here
        del args

    def cli(self, args: Sequence[str], *, target_path: Path | None = None, **options: Any) -> DbtCliInvocation:
        """Run a dbt command; see the base class."""
        parsed = Settings.from_environment().dbt_parsed / "working" / _PARTIAL_PARSE
        # parsing takes 3 s of CPU, and each step of a first run has its own target
        if target_path is not None and parsed.exists() and not (target_path / _PARTIAL_PARSE).exists():
            target_path.mkdir(parents=True, exist_ok=True)
            shutil.copy2(parsed, target_path)
        return super().cli(args, target_path=target_path, **options)


def dbt_of(project_dir: Path = DBT_PROJECT_DIR) -> Dbt:
    """The resource that runs this environment's dbt in a project, on production's lake."""
    project = str(project_dir)
    return Dbt(project_dir=project, profiles_dir=project, dbt_executable=str(DBT), target=_TARGET)


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
