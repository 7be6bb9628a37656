"""A schedule for each lender whose file says how often its databases and APIs are pulled."""

from collections.abc import Callable, Iterator

import dagster as dg

from orchestration.defs.pipeline.jobs import refresh
from orchestration.lib.lenders import LENDERS, run_of
from warehouse.errors import SettingError
from warehouse.lenders.connections import PullEvery
from warehouse.lenders.lender import Lender
from warehouse.lenders.rules import read_lender

#: Before the schedule daily_refresh, which builds on what was pulled.
CRON: dict[PullEvery, str] = {"15 minutes": "*/15 * * * *", "hour": "10 * * * *", "day": "0 1 * * *"}


def pull_schedule(lender: Lender) -> dg.ScheduleDefinition | None:
    """The schedule of a lender; None unless its file has ``pull_every``. Started: whoever sets that wants pulls."""
    if lender.pull_every is None:
        return None
    return dg.ScheduleDefinition(
        f"pull_{lender.name}",
        job=refresh,
        cron_schedule=CRON[lender.pull_every],
        execution_fn=_request(lender.name),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Pull {', '.join(lender.pulls)} of {lender.name}, and build what follows, every "
        f"{lender.pull_every}.",
    )


def _request(lender: str) -> Callable[[dg.ScheduleEvaluationContext], Iterator[dg.RunRequest]]:
    def request(_context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        yield run_of(lender)

    return request


@dg.definitions
def pull_schedules() -> dg.Definitions:
    """The schedules; a lender whose file cannot be read has none, and `loanlake status` says why."""
    schedules = []
    for name in LENDERS.get_partition_keys():
        try:
            schedule = pull_schedule(read_lender(name))
        except SettingError:
            continue
        if schedule is not None:
            schedules.append(schedule)
    return dg.Definitions(schedules=schedules)
