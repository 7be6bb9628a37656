"""Each lender's history, walked month by month: a backfill over any range of a lender's months is one run."""

import time
from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from orchestration.lib import pages
from orchestration.lib.feature_versions import feature_tables
from orchestration.lib.layers import LAKE_WRITER, OUTCOMES, WALK_FORWARD
from orchestration.lib.lenders import LENDERS
from orchestration.lib.months import month_partitions
from orchestration.lib.run_settings import RunSettings
from warehouse.errors import LoanlakeError
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings

#: A lender and a month of any lender; a month without applications of the lender walked is refused.
PARTITIONS = dg.MultiPartitionsDefinition({"lender": LENDERS, "month": month_partitions(Settings.from_environment())})


class WalkForwardConfig(dg.Config):
    """Options besides the months; ``loanlake model walk-forward`` has the same."""

    policies: list[str] = Field(default=[], description="Any of never, monthly and drift. Empty: all three.")
    run: str = Field(default="main", description="Name in the results; use one name for each set of settings.")
    label_window_months: int = Field(default=12, gt=0, description="Months within which a default counts.")


@dg.asset(
    key=WALK_FORWARD,
    deps=[*feature_tables().values(), OUTCOMES],
    partitions_def=PARTITIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="walk_forward",
    kinds={"python", "duckdb"},
    pool=LAKE_WRITER,
)
def walk_forward(
    context: dg.AssetExecutionContext, config: WalkForwardConfig, run_settings: RunSettings
) -> dg.MaterializeResult[None]:
    """What training, gates and monitoring would have done on each month's first day, and the results.

    A backfill walks a lender's months in one run, each from the state of the month before; select a range without gaps.
    A repeated month is replaced, and the later months are removed if it ends with another champion. Several lenders may
    share a run, if their months are fewer than they are; one that cannot be walked stops no other, and fails the run.
    """
    refused = []
    for lender, keys in keys_by_lender(context.partition_keys).items():
        try:
            metadata = walk_months(context, config, run_settings, lender, [month for month, _ in keys])
        except LoanlakeError as error:
            refused.append(f"{lender}: {error}")
        else:
            for _, key in keys:
                context.add_asset_metadata(metadata, partition_key=key)
    if refused:
        raise dg.Failure(f"not walked: {'; '.join(refused)}", allow_retries=False)
    return dg.MaterializeResult()


def keys_by_lender(keys: Sequence[str]) -> dict[str, list[tuple[date, str]]]:
    """The months of each lender and their partition keys, by month."""
    found: dict[str, list[tuple[date, str]]] = {}
    for key in keys:
        of = PARTITIONS.get_partition_key_from_str(key).keys_by_dimension
        found.setdefault(of["lender"], []).append((date.fromisoformat(of["month"]), key))
    return {lender: sorted(months) for lender, months in found.items()}


def walk_months(
    context: dg.AssetExecutionContext,
    config: WalkForwardConfig,
    run_settings: RunSettings,
    source: str,
    months: Sequence[date],
) -> dict[str, Any]:
    """Walk a lender from the first to the last month, and return the metadata."""
    from ml.judging.gate_limits import limits_of
    from ml.training.fitting import training_settings_of
    from ml.walk_forward.plan import WalkPlan, parse_policies
    from ml.walk_forward.summary import summarise
    from orchestration.defs.walk_forward.walking import run_walk

    started, lender = time.monotonic(), read_lender(source)
    plan = WalkPlan(
        source=source,
        first=months[0],
        last=months[-1],
        policies=parse_policies(config.policies),
        run=config.run,
        label_window_months=config.label_window_months,
        training=training_settings_of(lender, family=run_settings.family, exclude=tuple(run_settings.exclude)),
        limits=limits_of(lender),
    )
    walk = run_walk(
        Settings.from_environment(),
        plan,
        lambda month: context.log.info(str(month)),
        feature_version=run_settings.feature_version,
    )
    found = summarise(walk.months)
    return {
        "summary": f"{len(plan.months)} months walked; AUC "
        + ", ".join(f"{row.policy} {pages.figure(row.auc)}" for row in found),
        "picture": pages.image(walk.png, "walk forward"),
        "plot": dg.MetadataValue.path(walk.plot),
        "policies": pages.walk_summary(found),
        "by month": pages.walk_months(walk.months),
        "seconds": round(time.monotonic() - started, 2),
    }
