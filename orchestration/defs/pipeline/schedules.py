"""Daily, weekly and monthly runs, which a person must start in the UI: a laptop should not train at night.

Only ``nightly_backup`` is started: whoever sets its target wants backups.

Times are UTC; each schedule leaves the previous one time to end. Each starts one run a lender; a lender that has
nothing for the run to work on gets none.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import dagster as dg

from orchestration.defs.pipeline.jobs import back_up, drift_report, maintain, monitor, refresh, retrain
from orchestration.defs.pipeline.loaded_sources import loaded_sources
from orchestration.lib.champions import refresh_config
from orchestration.lib.lenders import run_of, why_unknown
from warehouse.backup.options import BackupOptions
from warehouse.errors import LoanlakeError
from warehouse.settings import Settings, read


def _with_rows(settings: Settings) -> Collection[str]:
    return loaded_sources(settings)


def _with_a_version(settings: Settings) -> Collection[str]:
    """Not every lender with rows: what nobody has trained yet, no schedule puts in service."""
    first = {settings.default_lender} & loaded_sources(settings) if settings.default_lender else set()
    return {*settings.recorded_lenders(), *first}


def _with_a_model(settings: Settings) -> Collection[str]:
    return settings.deployed_lenders()


def _no_settings(_settings: Settings, _lender: str) -> Mapping[str, Any]:
    return {}


def _each_lender(
    find: Callable[[Settings], Collection[str]],
    *,
    none: str,
    run_settings: Callable[[Settings, str], Mapping[str, Any]] = _no_settings,
) -> Callable[[dg.ScheduleEvaluationContext], Iterator[dg.RunRequest | dg.SkipReason]]:
    """A run for each lender that ``find`` finds; ``none``: why there is none."""

    def requests(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        settings, said, n_runs = Settings.from_environment(), [], 0
        for lender in sorted(find(settings)):
            why = why_unknown(lender)
            if not why:
                try:
                    # of requests without a key, Dagster accepts only the first of a tick
                    yield run_of(lender, run_key=lender, run_settings=run_settings(settings, lender))
                except LoanlakeError as error:  # one lender's file stops no other
                    why = f"no run of {lender}: {error}"
                else:
                    n_runs += 1
                    continue
            context.log.warning(why)
            said.append(why)
        if not n_runs:
            yield dg.SkipReason("; ".join(said) or none)

    return requests


daily_refresh = dg.ScheduleDefinition(
    "daily_refresh",
    job=refresh,
    cron_schedule="0 2 * * *",
    execution_fn=_each_lender(_with_rows, none="no lender has loaded files"),
    description="Load files and rebuild tables of every lender with loaded files, every night.",
)
daily_monitor = dg.ScheduleDefinition(
    "daily_monitor",
    job=monitor,
    cron_schedule="0 4 * * *",
    execution_fn=_each_lender(_with_a_model, none="no model in service"),
    description="Measure drift and performance of every lender's model, every night.",
)
monthly_retrain = dg.ScheduleDefinition(
    "monthly_retrain",
    job=retrain,
    cron_schedule="0 5 2 * *",
    execution_fn=_each_lender(_with_a_version, none="no lender was trained before", run_settings=refresh_config),
    description="Train each month on newly matured labels: every lender that was trained before. Refreshes the "
    "champion, with its features and settings.",
)
monthly_drift_report = dg.ScheduleDefinition(
    "monthly_drift_report",
    job=drift_report,
    cron_schedule="0 7 2 * *",
    execution_fn=_each_lender(_with_a_model, none="no model in service"),
    description="Evidently's report on the previous month, for every lender's model.",
)


def _backup_if_wanted(_context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    if read(BackupOptions, os.environ).get("backup_target") is None:
        yield dg.SkipReason("LOANLAKE_BACKUP_TARGET names no place for backups")
    else:
        yield dg.RunRequest()


nightly_backup = dg.ScheduleDefinition(
    "nightly_backup",
    job=back_up,
    cron_schedule="30 0 * * *",
    execution_fn=_backup_if_wanted,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Back up the home every night, if LOANLAKE_BACKUP_TARGET is set; started from the beginning.",
)
weekly_maintenance = dg.ScheduleDefinition(
    "weekly_maintenance",
    job=maintain,
    cron_schedule="0 1 * * 0",
    description="Merge small files, expire old snapshots and prune the API's decision log, every Sunday.",
)
