"""A lender's history, walked month by month: a backfill over any range of months is one run."""

import time
from datetime import date

import dagster as dg
from pydantic import Field

from orchestration.lib import pages
from orchestration.lib.feature_versions import feature_tables
from orchestration.lib.layers import LAKE_WRITER, OUTCOMES, WALK_FORWARD
from orchestration.lib.months import month_partitions
from orchestration.lib.run_settings import RunSettings
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings

#: Of all lenders; a month without applications of the lender walked is refused.
MONTHS = month_partitions(Settings.from_environment())


class WalkForwardConfig(dg.Config):
    """Options besides the months; ``loanlake model walk-forward`` has the same."""

    policies: list[str] = Field(default=[], description="Any of never, monthly and drift. Empty: all three.")
    run: str = Field(default="main", description="Name in the results; use one name for each set of settings.")
    label_window_months: int = Field(default=12, gt=0, description="Months within which a default counts.")


@dg.asset(
    key=WALK_FORWARD,
    deps=[*feature_tables().values(), OUTCOMES],
    partitions_def=MONTHS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="walk_forward",
    kinds={"python", "duckdb"},
    pool=LAKE_WRITER,
)
def walk_forward(
    context: dg.AssetExecutionContext, config: WalkForwardConfig, run_settings: RunSettings
) -> dg.MaterializeResult[None]:
    """What training, gates and monitoring would have done on each month's first day, and the results.

    A backfill walks its months in one run, each from the state of the month before; select a range without gaps. A
    repeated month is replaced, and the later months are removed if it ends with another champion.
    """
    from ml.judging.gate_limits import limits_of
    from ml.training.fitting import training_settings_of
    from ml.walk_forward.plan import WalkPlan, parse_policies
    from ml.walk_forward.summary import summarise
    from orchestration.defs.walk_forward.walking import run_walk

    settings, started = Settings.from_environment(), time.monotonic()
    window = context.partition_key_range
    lender = read_lender(run_settings.active_source(settings))
    plan = WalkPlan(
        source=run_settings.active_source(settings),
        first=date.fromisoformat(window.start),
        last=date.fromisoformat(window.end),
        policies=parse_policies(config.policies),
        run=config.run,
        label_window_months=config.label_window_months,
        training=training_settings_of(lender, family=run_settings.family, exclude=tuple(run_settings.exclude)),
        limits=limits_of(lender),
    )
    walk = run_walk(
        settings, plan, lambda month: context.log.info(str(month)), feature_version=run_settings.feature_version
    )
    found = summarise(walk.months)
    return dg.MaterializeResult(
        metadata={
            "summary": f"{len(plan.months)} months walked; AUC "
            + ", ".join(f"{row.policy} {pages.figure(row.auc)}" for row in found),
            "picture": pages.image(walk.png, "walk forward"),
            "plot": dg.MetadataValue.path(walk.plot),
            "policies": pages.walk_summary(found),
            "by month": pages.walk_months(walk.months),
            "seconds": round(time.monotonic() - started, 2),
        }
    )
