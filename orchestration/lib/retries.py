"""When work is retried: a job by its sensor, after a pause; a step by its run while another writer or run is busy."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from warehouse.errors import LakeBusyError, OtherRunUnderWay

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
#: Seconds between a failed run and the next: a busy or full lake gets a rest.
RETRY_SECONDS = 300
#: Maximum runs for one reason: after three failures, a person is needed.
MOST_TRIES = 3
#: Seconds that a step waits for a busy lake, after its lease's own time, or for another run; doubled each time.
_FIRST_WAIT, _LONGEST_WAIT, _MOST_WAITS = 15, 300, 20
_BY_ITSELF = {"dagster/sensor_name", "dagster/schedule_name"}


def why_not_now(instance: dg.DagsterInstance, job_name: str, tags: Mapping[str, str] | None = None) -> str:
    """Why no run of a job (or of its runs with these tags) should start; empty if one should."""
    if instance.get_runs_count(dg.RunsFilter(job_name=job_name, tags=tags, statuses=UNFINISHED)):
        return "a run is on its way"
    latest = instance.get_run_records(dg.RunsFilter(job_name=job_name, tags=tags), limit=1)
    if latest and latest[0].dagster_run.is_failure:
        seconds = time.time() - (latest[0].end_time or 0.0)
        if seconds < RETRY_SECONDS:
            return f"the last run failed, the next is tried in {RETRY_SECONDS - seconds:.0f} s"
    return ""


def failed_runs(instance: dg.DagsterInstance, job_name: str, tags: Mapping[str, str]) -> int:
    """How many of the job's runs with these tags failed."""
    failed = dg.RunsFilter(job_name=job_name, tags=tags, statuses=[dg.DagsterRunStatus.FAILURE])
    return instance.get_runs_count(failed)


@contextmanager
def lake_awaited(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Let Dagster retry a step while the lake is busy, except in a person's run, which shows who holds it."""
    try:
        yield
    except LakeBusyError as error:
        if not _BY_ITSELF & context.run.tags.keys():
            raise
        raise _later(context, error) from error


@contextmanager
def other_runs_awaited(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Let Dagster retry a step while another run, such as another lender's, has yet to do what the step needs."""
    try:
        yield
    except OtherRunUnderWay as error:
        raise _later(context, error) from error


def _later(context: dg.AssetExecutionContext, error: Exception) -> dg.RetryRequested:
    seconds = min(_FIRST_WAIT * 2**context.retry_number, _LONGEST_WAIT)
    context.log.warning(f"{error}. Tried again in {seconds} s")
    return dg.RetryRequested(max_retries=_MOST_WAITS, seconds_to_wait=seconds)
