"""Daily, weekly and monthly runs, all stopped until someone starts them in the UI: a laptop should not train at night.

Times are UTC; each leaves the one before it time to end. What is about a lender is asked for every lender that has a
model, a run each, and what it trains never takes the place of another lender's model.
"""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.pipeline.jobs import drift_report, maintain, monitor, refresh, retrain
from warehouse.settings import Settings


def for_each_lender(_context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """A run for each source with a champion, and for that of ``LOANLAKE_SOURCE``; without either, one naming none.

    A training is one that refreshes the champion: of its features and settings.
    """
    from orchestration.lib.champions import champions, refresh_config

    settings = Settings.from_environment()
    sources = {champion.source for champion in champions(settings)} | ({settings.source} if settings.source else set())
    if not sources:
        yield dg.RunRequest()
    for source in sorted(sources):
        yield dg.RunRequest(
            run_key=source,  # of requests without one, Dagster takes only the first of a tick
            run_config={"resources": {"run_settings": {"config": refresh_config(settings, source)}}},
            tags={"loanlake/source": source},
        )


daily_refresh = dg.ScheduleDefinition(
    name="daily_refresh",
    job=refresh,
    cron_schedule="0 2 * * *",
    execution_fn=for_each_lender,
    description="Load and rebuild, every night.",
)
daily_monitor = dg.ScheduleDefinition(
    name="daily_monitor",
    job=monitor,
    cron_schedule="0 4 * * *",
    execution_fn=for_each_lender,
    description="Measure drift and performance, every night.",
)
monthly_retrain = dg.ScheduleDefinition(
    name="monthly_retrain",
    job=retrain,
    cron_schedule="0 5 2 * *",
    execution_fn=for_each_lender,
    description="Train on what has matured in a month.",
)
monthly_drift_report = dg.ScheduleDefinition(
    name="monthly_drift_report",
    job=drift_report,
    cron_schedule="0 7 2 * *",
    execution_fn=for_each_lender,
    description="Evidently's report on the month that has ended.",
)
weekly_maintenance = dg.ScheduleDefinition(
    name="weekly_maintenance",
    job=maintain,
    cron_schedule="0 1 * * 0",
    description="Merge small files, expire old snapshots and prune the API's decision log, every Sunday.",
)
