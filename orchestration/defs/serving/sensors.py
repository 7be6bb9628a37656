"""Move waiting decisions to the lake within a minute; move canaries, leave failing champions, serve approvals."""

from collections.abc import Callable, Iterator

import dagster as dg

from ml.registry.approval import unserved_approval
from ml.rollout.after_promotion import watch_champion
from ml.rollout.canary import judge_canary
from orchestration.defs.pipeline.jobs import ingest_decisions, move_canary, publish_approved, roll_back
from orchestration.lib.lenders import LENDER_TAG, run_of, why_unknown
from orchestration.lib.retries import MOST_TRIES, failed_runs, why_not_now
from warehouse.decision_log import count_pending
from warehouse.errors import LoanlakeError, NotFoundError
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
def canary_to_move(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Start a run for each lender whose canary must move; otherwise report what each waits for.

    There is no run key: a run that failed, or found changed figures, would use it up, and a canary that must go back
    would continue to answer.
    """
    yield from _of_each_lender(context, _canary_move, else_why="no canary is running")


def _canary_move(instance: dg.DagsterInstance, settings: Settings, lender: str) -> dg.RunRequest | dg.SkipReason | None:
    try:
        verdict = judge_canary(settings, lender)
    except NotFoundError:
        return None
    except LoanlakeError as error:
        return dg.SkipReason(f"the canary of {lender} cannot be judged: {error}")
    if verdict.move == "wait":
        return dg.SkipReason(f"{verdict.canary.name}: {verdict.why}")
    why_not = why_not_now(instance, move_canary.name, {LENDER_TAG: lender})
    if why_not:
        return dg.SkipReason(f"{verdict.canary.name}, {verdict.why}; {why_not}")
    return run_of(lender, tags={"loanlake/reason": verdict.why})


@dg.sensor(job=roll_back, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def champion_to_leave(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Start a run for each lender whose new champion is certainly worse than the version before.

    LOANLAKE_ROLLBACK_MINUTES says how long a version is new, and switches this off.
    """
    yield from _of_each_lender(context, _champion_left, else_why="no champion is new")


def _champion_left(
    instance: dg.DagsterInstance, settings: Settings, lender: str
) -> dg.RunRequest | dg.SkipReason | None:
    try:
        watch = watch_champion(settings, lender)
    except LoanlakeError as error:
        return dg.SkipReason(f"the champion of {lender} cannot be judged: {error}")
    if watch is None:
        return None
    said = f"{watch.name}, {watch.why}"
    if watch.move == "wait":
        return dg.SkipReason(said)
    why_not = why_not_now(instance, roll_back.name, {LENDER_TAG: lender})
    return dg.SkipReason(f"{said}; {why_not}") if why_not else run_of(lender, tags={"loanlake/reason": watch.why})


@dg.sensor(job=publish_approved, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def version_approved(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Start a run for each lender's approval that came over HTTP; retry a failed one twice: the lake may be busy."""
    yield from _of_each_lender(context, _approved, else_why="no approval waits to be followed")


def _approved(instance: dg.DagsterInstance, settings: Settings, lender: str) -> dg.RunRequest | dg.SkipReason | None:
    try:
        approval = unserved_approval(settings, lender)
    except LoanlakeError as error:
        return dg.SkipReason(f"approvals of {lender} cannot be read: {error}")
    if approval is None:
        return None
    version = f"{approval.model_name} version {approval.model_version}"
    tags = {_APPROVAL_TAG: f"{version}, {approval.at}"}
    if failed_runs(instance, publish_approved.name, tags) >= MOST_TRIES:
        return dg.SkipReason(
            f"{version} could not be served {MOST_TRIES} times: its runs say why; `loanlake model promote "
            f"{approval.model_version} --lender {lender} --reason …` tries again"
        )
    why_not = why_not_now(instance, publish_approved.name, {LENDER_TAG: lender})
    if why_not:
        return dg.SkipReason(f"{version} is approved; {why_not}")
    return run_of(lender, tags={**tags, "loanlake/reason": f"approved by {approval.by}"})


def _of_each_lender(
    context: dg.SensorEvaluationContext,
    look: Callable[[dg.DagsterInstance, Settings, str], dg.RunRequest | dg.SkipReason | None],
    *,
    else_why: str,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """The runs of all lenders, or one reason why there is none, which is all that Dagster takes."""
    settings = Settings.from_environment()
    found_of = {lender: look(context.instance, settings, lender) for lender in settings.recorded_lenders()}
    looked = [_unless_unknown(lender, found) for lender, found in found_of.items()]
    requests = [found for found in looked if isinstance(found, dg.RunRequest)]
    reasons = [found.skip_message or "" for found in looked if isinstance(found, dg.SkipReason)]
    if requests:
        yield from requests
    else:
        yield dg.SkipReason("; ".join(reasons) or else_why)


def _unless_unknown(lender: str, found: dg.RunRequest | dg.SkipReason | None) -> dg.RunRequest | dg.SkipReason | None:
    why = why_unknown(lender) if isinstance(found, dg.RunRequest) else ""
    return dg.SkipReason(why) if why else found
