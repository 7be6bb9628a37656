"""Months rebuilt on request: a backfill of a range of months is one run with one dbt build.

A separate asset, because the daily build is unpartitioned: with partitions, each daily run would name a month, and late
rows of earlier months would wait for a backfill.
"""

import json
from contextlib import closing
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource

from orchestration.defs.warehouse.checks import check_contract
from orchestration.defs.warehouse.dbt_resource import failures_named
from orchestration.lib import pages
from orchestration.lib.feature_versions import feature_tables, training_tables
from orchestration.lib.layers import LAKE_WRITER, REBUILT_MONTHS
from orchestration.lib.months import month_partitions
from warehouse.lake.connection import connect
from warehouse.settings import Settings

MONTHS = month_partitions(Settings.from_environment(), fmt="%Y-%m", with_running_month=True)


@dg.asset(
    key=REBUILT_MONTHS,
    deps=[dg.AssetKey(["core", name]) for name in ("int_applications", "int_statements", "int_outcome_versions")],
    partitions_def=MONTHS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="features",
    kinds={"dbt", "duckdb"},
    pool=LAKE_WRITER,
)
def rebuilt_months(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> dg.MaterializeResult[None]:
    """Features and training rows of whole months of decisions, rebuilt and replaced.

    Use it for a month that must be rebuilt; changes from new files are built every day without it.
    """
    settings, months = Settings.from_environment(), context.partition_key_range
    asked_for = {"months_from": months.start, "months_to": months.end}
    build_layers(dbt, "staging core features", asked_for, settings.dbt_target)
    for version in feature_tables():
        checked = check_contract(settings, version)
        if not checked.passed:
            raise dg.Failure(str(checked), allow_retries=False)
    build_layers(dbt, "training", asked_for, settings.dbt_target.with_name("rebuilt_months"))
    rows = rows_by_month(settings, months)
    return dg.MaterializeResult(
        metadata={
            "summary": f"{months.start} to {months.end} built again: {sum(row[1] for row in rows):,} applications",
            "months": pages.table(
                ["month", "applications", "training rows"],
                [[month, f"{n_applications:,}", f"{n_training:,}"] for month, n_applications, n_training in rows],
            ),
        }
    )


def build_layers(dbt: DbtCliResource, layers: str, asked_for: dict[str, str], target: Path) -> None:
    """Build these layers for the requested months and run their tests; see :func:`failures_named`."""
    command = ["build", "--select", layers, "--exclude-resource-type", "unit_test"]
    command += ["--indirect-selection", "buildable", "--vars", json.dumps(asked_for)]
    with failures_named(target):
        dbt.cli(command, target_path=target).wait()


def rows_by_month(settings: Settings, months: dg.PartitionKeyRange) -> list[tuple[str, int, int]]:
    """Month, applications with features, and training rows among them; equal in every version."""
    of_all_lenders = (next(iter(tables.values())) for tables in (feature_tables(), training_tables()))
    features, training = ('"{}"."{}"'.format(*key.path) for key in of_all_lenders)
    with closing(connect(settings)) as con:
        return con.execute(
            f"""
            select strftime(features.decided_at, '%Y-%m') as month, count(*), count(training.application_id)
            from {features} as features
            left join {training} as training on training.application_id = features.application_id
            where strftime(features.decided_at, '%Y-%m') between $first and $last
            group by month
            order by month
            """,
            {"first": months.start, "last": months.end},
        ).fetchall()
