"""Move waiting decisions from the API's log to the lake within a minute; move canaries; serve approved versions."""

import dagster as dg

from ml.registry.approval import unserved_approval
from ml.rollout.canary import judge_canary
from orchestration.defs.pipeline.jobs import ingest_decisions, move_canary, publish_approved
from orchestration.lib.retries import MOST_TRIES, failed_runs, why_not_now
from warehouse.decision_log import count_pending
from warehouse.errors import LakeError, LoanlakeError, NotFoundError
from warehouse.settings import Settings

_APPROVAL_TAG = "loanlake/approval"


@dg.sensor(job=ingest_decisions, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def decisions_to_ingest(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Start a run when decisions or outcomes wait in the API's log, unless one is already active."""
    waiting = count_pending(Settings.from_environment())
    if waiting == 0:
        return dg.SkipReason("nothing waits in the decision log")
    why_not = why_not_now(context.instance, ingest_decisions.name)
    return dg.SkipReason(f"{waiting:,} rows wait; {why_not}") if why_not else dg.RunRequest()


@dg.sensor(job=move_canary, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def canary_to_move(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Start a run when the canary's results require a move; otherwise report what it waits for.

    There is no run key: a run that failed, or found changed figures, would use it up, and a canary that must go back
    would continue to answer.
    """
    try:
        verdict = judge_canary(Settings.from_environment())
    except NotFoundError:
        return dg.SkipReason("no canary is running")
    except LakeError as error:
        return dg.SkipReason(f"the canary cannot be judged: {error}")
    if verdict.move == "wait":
        return dg.SkipReason(f"{verdict.canary.name}: {verdict.why}")
    why_not = why_not_now(context.instance, move_canary.name)
    if why_not:
        return dg.SkipReason(f"{verdict.canary.name}, {verdict.why}; {why_not}")
    return dg.RunRequest(tags={"loanlake/reason": verdict.why})


@dg.sensor(job=publish_approved, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def version_approved(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Start a run for an approval that came over HTTP; retry a failed one twice, because the lake may be busy."""
    try:
        approval = unserved_approval(Settings.from_environment())
    except LoanlakeError as error:
        return dg.SkipReason(f"approvals cannot be read: {error}")
    if approval is None:
        return dg.SkipReason("no approval waits to be followed")
    version = f"{approval.model_name} version {approval.model_version}"
    tags = {_APPROVAL_TAG: f"{version}, {approval.at}"}
    if failed_runs(context.instance, publish_approved.name, tags) >= MOST_TRIES:
        return dg.SkipReason(
            f"{version} could not be served {MOST_TRIES} times: its runs say why; "
            f"`loanlake model promote {approval.model_version} --reason …` tries again"
        )
    why_not = why_not_now(context.instance, publish_approved.name)
    if why_not:
        return dg.SkipReason(f"{version} is approved; {why_not}")
    return dg.RunRequest(tags={**tags, "loanlake/reason": f"approved by {approval.by}"})
