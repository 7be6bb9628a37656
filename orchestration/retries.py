"""When a sensor may ask for a run of a job again: not while one is on its way, nor at once after one that failed."""

import time
from collections.abc import Mapping

import dagster as dg

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
#: After a run that failed, the next one waits so long: a lake that is busy or full is not asked every few seconds.
RETRY_SECONDS = 300
#: Runs asked for one reason, where each fails: what three could not do needs a person.
MOST_TRIES = 3


def why_not_now(instance: dg.DagsterInstance, job_name: str, tags: Mapping[str, str] | None = None) -> str:
    """Why no run of a job, or of those of its runs with these tags, should be started; empty where one should."""
    if instance.get_runs_count(dg.RunsFilter(job_name=job_name, tags=tags, statuses=_UNFINISHED)):
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
