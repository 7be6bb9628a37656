"""Decisions that wait in the API's log are moved into the lake within a minute; a canary follows what they show, and
what is served a person's approval.
"""

import time

import dagster as dg

from orchestration.defs.pipeline.jobs import ingest_decisions, move_canary, publish_approved
from warehouse.settings import Settings

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
#: After a run that failed, the next one waits so long: a lake that is busy or full is not asked every few seconds.
_RETRY_SECONDS = 300
_APPROVAL_TAG = "loanlake/approval"
_MOST_TRIES = 3


@dg.sensor(job=ingest_decisions, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def decisions_to_ingest(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Start a run when decisions or outcomes wait in the API's log and no run is on its way to take them."""
    from warehouse.decision_log import count_pending

    waiting = count_pending(Settings.from_environment())
    if waiting == 0:
        return dg.SkipReason("nothing waits in the decision log")
    why_not = _why_not_now(context.instance, ingest_decisions.name)
    return dg.SkipReason(f"{waiting:,} rows wait; {why_not}") if why_not else dg.RunRequest()


@dg.sensor(job=move_canary, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def canary_to_move(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Start a run when the canary's step calls for a move; says what it waits for otherwise.

    Without a run key: a run that failed, or that found the figures changed, would use it up, and a canary that is to go
    back would answer for ever.
    """
    from ml.canary import judge_canary
    from warehouse.errors import LakeError, NotFoundError

    try:
        verdict = judge_canary(Settings.from_environment())
    except NotFoundError:
        return dg.SkipReason("no canary is running")
    except LakeError as error:
        return dg.SkipReason(f"the canary cannot be judged: {error}")
    if verdict.move == "wait":
        return dg.SkipReason(f"{verdict.canary.name}: {verdict.why}")
    why_not = _why_not_now(context.instance, move_canary.name)
    if why_not:
        return dg.SkipReason(f"{verdict.canary.name}, {verdict.why}; {why_not}")
    return dg.RunRequest(tags={"loanlake/reason": verdict.why})


@dg.sensor(job=publish_approved, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def version_approved(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Start a run for an approval that came over HTTP, and up to two more where one fails: the lake may be busy."""
    from ml.approval import unserved_approval
    from warehouse.errors import LoanlakeError

    try:
        approval = unserved_approval(Settings.from_environment())
    except LoanlakeError as error:
        return dg.SkipReason(f"approvals cannot be read: {error}")
    if approval is None:
        return dg.SkipReason("no approval waits to be followed")
    version = f"{approval.model_name} version {approval.model_version}"
    tags = {_APPROVAL_TAG: f"{version}, {approval.at}"}
    failed = dg.RunsFilter(job_name=publish_approved.name, tags=tags, statuses=[dg.DagsterRunStatus.FAILURE])
    if context.instance.get_runs_count(failed) >= _MOST_TRIES:
        return dg.SkipReason(
            f"{version} could not be served {_MOST_TRIES} times: its runs say why; "
            f"`loanlake promote {approval.model_version}` tries again"
        )
    why_not = _why_not_now(context.instance, publish_approved.name)
    if why_not:
        return dg.SkipReason(f"{version} is approved; {why_not}")
    return dg.RunRequest(tags={**tags, "loanlake/reason": f"approved by {approval.by}"})


def _why_not_now(instance: dg.DagsterInstance, job_name: str) -> str:
    """Why no run of a job should be started; empty where one should."""
    if instance.get_runs_count(dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED)):
        return "a run is on its way"
    latest = instance.get_run_records(dg.RunsFilter(job_name=job_name), limit=1)
    if latest and latest[0].dagster_run.is_failure:
        seconds = time.time() - (latest[0].end_time or 0.0)
        if seconds < _RETRY_SECONDS:
            return f"the last run failed, the next is tried in {_RETRY_SECONDS - seconds:.0f} s"
    return ""
