"""Daily, weekly and monthly runs, all stopped until someone starts them in the UI: a laptop should not train at night.

Times are UTC; each leaves the one before it time to end.
"""

import dagster as dg

from orchestration.defs.pipeline.jobs import drift_report, maintain, monitor, refresh, retrain

daily_refresh = dg.ScheduleDefinition(
    name="daily_refresh", job=refresh, cron_schedule="0 2 * * *", description="Load and rebuild, every night."
)
daily_monitor = dg.ScheduleDefinition(
    name="daily_monitor",
    job=monitor,
    cron_schedule="0 4 * * *",
    description="Measure drift and performance, every night.",
)
monthly_retrain = dg.ScheduleDefinition(
    name="monthly_retrain", job=retrain, cron_schedule="0 5 2 * *", description="Train on what has matured in a month."
)
monthly_drift_report = dg.ScheduleDefinition(
    name="monthly_drift_report",
    job=drift_report,
    cron_schedule="0 7 2 * *",
    description="Evidently's report on the month that has ended.",
)
weekly_maintenance = dg.ScheduleDefinition(
    name="weekly_maintenance",
    job=maintain,
    cron_schedule="0 1 * * 0",
    description="Merge small files, expire old snapshots and prune the API's decision log, every Sunday.",
)
