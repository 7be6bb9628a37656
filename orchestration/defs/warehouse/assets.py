"""dbt's models as assets, its tests as blocking checks.

Three steps and not one, so that what lies between them stops what comes after: the contract check of the features keeps
rows that break it out of the training tables, and monitoring reads what serving has written.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from orchestration.dbt_project import LayeredTranslator, prepared_manifest
from orchestration.layers import FEATURES, LAKE_WRITER
from warehouse.settings import Settings

_MANIFEST = prepared_manifest(Settings.from_environment())
_TRANSLATOR = LayeredTranslator()


def dbt_step(name: str, *, select: str) -> dg.AssetsDefinition:
    """A step that builds the selected models and runs their tests; a failing test of severity error fails the step."""

    @dbt_assets(
        manifest=_MANIFEST, select=select, name=name, dagster_dbt_translator=_TRANSLATOR, pool=LAKE_WRITER
    )
    def build(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        yield from build_with_row_counts(context, dbt)

    return build


def build_with_row_counts(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Run ``dbt build`` for the selected assets; each model's materialisation carries its number of rows."""
    settings = Settings.from_environment()
    # unit tests judge the project's text, not the data: they run in the test suite
    command = ["build", "--exclude-resource-type", "unit_test"]
    invocation = dbt.cli(command, context=context, target_path=target_of(context, settings))
    for event in invocation.stream():
        if isinstance(event, dg.Output):
            key = context.asset_key_for_output(event.output_name)
            context.add_output_metadata({"dagster/row_count": count_rows(key, settings)}, event.output_name)
        yield event


def target_of(context: dg.AssetExecutionContext, settings: Settings) -> Path:
    """Where dbt's artefacts go: a directory of its own for each step, ``dbt_target`` only for a build of the features.

    The feature contract is read from the manifest in ``dbt_target``, and dbt compiles only what an invocation selects:
    any other build there would leave that manifest without the features' SQL.
    """
    if FEATURES in context.selected_asset_keys:
        return settings.dbt_target
    return settings.dbt_target.with_name(context.op_execution_context.op.name)


def count_rows(key: dg.AssetKey, settings: Settings) -> int:
    """Rows of the table of this key."""
    from warehouse.lake import connect

    with connect(settings) as con:
        schema, table = key.path
        row = con.execute(f'select count(*) from "{schema}"."{table}"').fetchone()
    return int(row[0]) if row else 0


warehouse_models = dbt_step("dbt_warehouse", select="path:models/staging path:models/core path:models/features")
training_models = dbt_step("dbt_training", select="path:models/training")
monitoring_models = dbt_step("dbt_monitoring", select="path:models/monitoring")
