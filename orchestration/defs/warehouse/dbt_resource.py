"""dbt in Dagster: how its nodes are named and its commands run."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliInvocation, DbtCliResource, DbtProject
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from packaging.version import Version

from orchestration.dbt_process import DBT_COMMAND, have_dbt_ready
from orchestration.lib.dbt_project import (
    FAILED_TABLES,
    PARTIAL_PARSE,
    TARGET,
    asset_key,
    build_failures,
    failed_tables,
    run_results,
)
from orchestration.lib.layers import DECISION_HISTORY, PREDICTIONS, SHADOW_PREDICTIONS
from warehouse.settings import DBT_PROJECT_DIR, Settings


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


@contextmanager
def failures_named(target: Path) -> Iterator[None]:
    """Run dbt with its artefacts in ``target``; an error names what failed.

    A run that ended early leaves the previous one's results: then only dagster-dbt's error has a message.
    """
    before = run_results(target).get("metadata")
    try:
        yield
    except DagsterDbtCliRuntimeError:
        failures = build_failures(target) if run_results(target).get("metadata") != before else []
        if not failures:
            raise
        raise dg.Failure(
            f"dbt build: {len(failures)} failed: {'; '.join(failures)}",
            metadata={FAILED_TABLES: dg.MetadataValue.json(failed_tables(target))},
            allow_retries=False,
        ) from None


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
        have_dbt_ready()
        parsed = Settings.from_environment().dbt_parsed / "working" / PARTIAL_PARSE
        # parsing takes 3 s of CPU, and each step of a first run has its own target
        if target_path is not None and parsed.exists() and not (target_path / PARTIAL_PARSE).exists():
            target_path.mkdir(parents=True, exist_ok=True)
            shutil.copy2(parsed, target_path)
        return super().cli(args, target_path=target_path, **options)


def dbt_of(project_dir: Path = DBT_PROJECT_DIR) -> Dbt:
    """The resource that runs this environment's dbt in a project, on production's lake."""
    project = str(project_dir)
    python, *script = DBT_COMMAND
    return Dbt(
        project_dir=project, profiles_dir=project, dbt_executable=python, global_config_flags=script, target=TARGET
    )
