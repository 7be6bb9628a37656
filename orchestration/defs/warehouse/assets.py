"""dbt's models as assets, its tests as blocking checks.

Three steps, so that checks between them stop what follows: the features' contract check keeps invalid rows out of
training tables, and monitoring reads what serving wrote.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DbtCliResource, dbt_assets

from orchestration.defs.warehouse.build_stamp import StampedBuild
from orchestration.defs.warehouse.dbt_resource import LayeredTranslator, failures_named
from orchestration.defs.warehouse.imports_ahead import AFTER_TABLES, import_ahead
from orchestration.lib.dbt_project import asset_key, prepared_manifest
from orchestration.lib.feature_versions import feature_tables
from orchestration.lib.layers import DEPLOYMENT_CHANGES, LAKE_WRITER, ONLINE_DECISIONS, REGISTERED_MODEL, TRAINING_SET
from orchestration.lib.upstream_checks import latest_result
from warehouse.lake import tables
from warehouse.lake.connection import connect
from warehouse.settings import Settings

_MANIFEST = prepared_manifest(Settings.from_environment())
_TRANSLATOR = LayeredTranslator()


def dbt_step(name: str, *, select: str, exclude: str = "") -> dg.AssetsDefinition:
    """A step that builds the selected models and runs their tests; a failing test of severity error fails the step."""

    @dbt_assets(
        manifest=_MANIFEST,
        select=select,
        exclude=exclude or None,
        name=name,
        dagster_dbt_translator=_TRANSLATOR,
        pool=LAKE_WRITER,
    )
    def build(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        yield from build_tables(context, dbt)

    return build


def build_tables(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Run ``dbt build`` for the selected assets, unless it would give the same tables and checks."""
    settings, definition = Settings.from_environment(), context.assets_def
    target = target_of(context, settings)
    reads = {key for keys in definition.asset_deps.values() for key in keys} - definition.keys
    build = StampedBuild(settings, target, reads=reads, writes=definition.keys)
    if context.is_subset:
        # only whole builds are stamped, since only dbt knows how much a part touches; and without new rows, only the
        # manifest changes, which has the SQL of the part's models alone
        build.begin()
        yield from build_with_row_counts(context, dbt, settings, target)
        return
    evaluations = latest_evaluations(context.instance, definition.check_keys)
    reason = build.reason_to_build() or ("a check has not passed" if evaluations is None else None)
    if reason is None:
        yield from repeat_last_build(context, settings, evaluations or [])
        return
    context.log.info(f"dbt builds: {reason}")
    import_ahead(AFTER_TABLES.get(context.run.job_name, ()))
    build.begin()
    yield from build_with_row_counts(context, dbt, settings, target)
    build.finish()


def build_with_row_counts(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, settings: Settings, target: Path
) -> Iterator[Any]:
    """Build; each model's materialisation reports its number of rows."""
    # unit tests check the project's text, not the data: the test suite runs them
    command = ["build", "--exclude-resource-type", "unit_test", "--cache-selected-only"]
    if not context.is_subset:
        # tests between two layers wait for the later one; by default they run once either is selected
        command += ["--indirect-selection", "buildable"]
    with failures_named(target), ExitStack() as stack:
        con = None
        for event in dbt.cli(command, context=context, target_path=target).stream():
            if isinstance(event, dg.Output):
                con = con or stack.enter_context(closing(connect(settings)))
                key = context.asset_key_for_output(event.output_name)
                context.add_output_metadata({"dagster/row_count": count_rows(con, key)}, event.output_name)
            yield event


def latest_evaluations(
    instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey]
) -> list[dg.AssetCheckEvaluation] | None:
    """The latest result of each check; None if one is missing, or failed with severity error."""
    found = []
    for key in checks:
        latest = latest_result(instance, key)
        if latest is None or (
            not latest.evaluation.passed and latest.evaluation.severity == dg.AssetCheckSeverity.ERROR
        ):
            return None
        found.append(latest.evaluation)
    return found


def repeat_last_build(
    context: dg.AssetExecutionContext, settings: Settings, evaluations: Iterable[dg.AssetCheckEvaluation]
) -> Iterator[Any]:
    """Report the existing tables and checks to Dagster, since a build would give the same."""
    context.log.info("nothing that the step reads or wrote has changed since its last build: dbt is not run")
    with closing(connect(settings)) as con:
        # Dagster needs a table reported after its inputs
        for key in TopologicalSorter(context.assets_def.asset_deps).static_order():
            if key not in context.selected_asset_keys:
                continue
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    "summary": f"unchanged: {len(context.selected_asset_keys)} tables are as they were built before",
                    "dagster/row_count": count_rows(con, key),
                },
            )
    for evaluation in evaluations:
        yield dg.AssetCheckResult(
            asset_key=evaluation.asset_key,
            check_name=evaluation.check_name,
            passed=evaluation.passed,
            severity=evaluation.severity,
            metadata={**evaluation.metadata, "evaluated": "before; the tables are unchanged"},
        )


def target_of(context: dg.AssetExecutionContext, settings: Settings) -> Path:
    """The directory of dbt's artefacts, one per step; ``dbt_target`` only for a build of the features.

    The feature contract is in that manifest, and dbt compiles only selected models: another build there would remove
    the features' SQL.
    """
    if not context.selected_asset_keys.isdisjoint(feature_tables().values()):
        return settings.dbt_target
    return settings.dbt_target.with_name(context.op_execution_context.op.name)


def count_rows(con: duckdb.DuckDBPyConnection, key: dg.AssetKey) -> int:
    """Rows of the table with this key."""
    schema, table = key.path
    row = con.execute(f'select count(*) from "{schema}"."{table}"').fetchone()
    return int(row[0]) if row else 0


def program_tables(manifest: Mapping[str, Any]) -> list[dg.AssetSpec]:
    """Tables that dbt reads and steps write besides their assets, each below its step."""
    raw = [asset_key(node) for node in manifest["sources"].values() if node["schema"] == "raw"]
    of_lenders = [key for key in raw if f"raw.{key.path[-1]}" not in tables.program_tables()]
    written_by = {
        dg.AssetKey(["raw", "files"]): of_lenders,
        dg.AssetKey(["raw", "messages"]): of_lenders,
        dg.AssetKey(["raw", "rejected_lines"]): of_lenders,
        dg.AssetKey(["serving", "approvals"]): [DEPLOYMENT_CHANGES],
        dg.AssetKey(["serving", "reported_outcomes"]): [ONLINE_DECISIONS],
        dg.AssetKey(["serving", "shadow_predictions"]): [ONLINE_DECISIONS],
        dg.AssetKey(["monitoring", "contract_violations"]): list(feature_tables().values()),
        dg.AssetKey(["monitoring", "gate_results"]): [REGISTERED_MODEL],
        dg.AssetKey(["monitoring", "alert_acknowledgements"]): [],  # by `loanlake alerts ack`
        dg.AssetKey(["models", "search_trials"]): [TRAINING_SET],
    }
    return [
        dg.AssetSpec(
            asset_key(node),
            deps=written_by[asset_key(node)],
            group_name=node["schema"],
            kinds={"duckdb"},
            description=node["description"],
        )
        for node in manifest["sources"].values()
        if asset_key(node) in written_by
    ]


# of monitoring, made with the features: a view that skew reads, and what is judged of the data itself, so that it is
# known before anything is trained or scored on them
_WITH_FEATURES = "decision_history* data_profile data_checks source_arrivals"
warehouse_models = dbt_step("dbt_warehouse", select=f"lenders staging core features {_WITH_FEATURES}")
training_models = dbt_step("dbt_training", select="training")
# the portfolio's tables read decisions too: one dbt run for both
monitoring_models = dbt_step("dbt_monitoring", select="portfolio monitoring", exclude=_WITH_FEATURES)
beside = program_tables(json.loads(_MANIFEST.read_text()))
