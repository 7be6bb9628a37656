"""Daily, weekly and monthly runs, which a person must start in the UI: a laptop should not train at night.

Times are UTC; each schedule leaves the previous one time to end. There is one run for every lender with a model; a
training never replaces another lender's model.
"""

from collections.abc import Iterator
from functools import partial

import dagster as dg

from orchestration.defs.pipeline.jobs import drift_report, maintain, monitor, refresh, retrain
from orchestration.lib.champions import champions, refresh_config
from warehouse.settings import Settings


def for_each_lender(_context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """A run for each source with a champion, and for ``LOANLAKE_SOURCE``; else one run without a source.

    A training refreshes the champion, with its features and settings.
    """
    settings = Settings.from_environment()
    sources = {champion.source for champion in champions(settings)} | ({settings.source} if settings.source else set())
    if not sources:
        yield dg.RunRequest()
    for source in sorted(sources):
        yield dg.RunRequest(
            run_key=source,  # of requests without a key, Dagster accepts only the first of a tick
            run_config={"resources": {"run_settings": {"config": refresh_config(settings, source)}}},
            tags={"loanlake/source": source},
        )


_for_lenders = partial(dg.ScheduleDefinition, execution_fn=for_each_lender)
daily_refresh = _for_lenders(
    "daily_refresh", job=refresh, cron_schedule="0 2 * * *", description="Load files and rebuild tables, every night."
)
daily_monitor = _for_lenders(
    "daily_monitor", job=monitor, cron_schedule="0 4 * * *", description="Measure drift and performance, every night."
)
monthly_retrain = _for_lenders(
    "monthly_retrain", job=retrain, cron_schedule="0 5 2 * *", description="Train each month on newly matured labels."
)
monthly_drift_report = _for_lenders(
    "monthly_drift_report",
    job=drift_report,
    cron_schedule="0 7 2 * *",
    description="Evidently's report on the previous month.",
)
weekly_maintenance = dg.ScheduleDefinition(
    "weekly_maintenance",
    job=maintain,
    cron_schedule="0 1 * * 0",
    description="Merge small files, expire old snapshots and prune the API's decision log, every Sunday.",
)
