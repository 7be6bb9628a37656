"""Batches that wait are given a run each; those whose run is gone are ended, for their callers to try again."""

import dagster as dg

from orchestration.defs.pipeline.jobs import score_batch
from orchestration.layers import BATCH_SCORES
from warehouse.settings import Settings

#: Runs of batches at a time: each takes a process and what a bundle takes of memory.
AT_ONCE = 2
#: The batch and its attempt: what a run was started for.
BATCH_TAG = "loanlake/batch"
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(job=score_batch, minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING)
def batches_to_score(context: dg.SensorEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
    """Start a run for the batches that have waited longest, a few at a time."""
    from warehouse.batches import BatchStates

    states = BatchStates(Settings.from_environment())
    states.end_abandoned()
    waiting = states.queued()
    if not waiting:
        return dg.SkipReason("no batch waits")
    n_going = context.instance.get_runs_count(dg.RunsFilter(job_name=score_batch.name, statuses=_UNFINISHED))
    requests = []
    for batch in waiting:
        key = f"{batch.batch_id}/{batch.attempt}"
        runs = context.instance.get_runs(dg.RunsFilter(job_name=score_batch.name, tags={BATCH_TAG: key}))
        if any(run.is_finished for run in runs):
            # it never came to the batch: it could not be started, or was cancelled in Dagster
            states.finish(batch, "failed", reason=f"run {runs[0].run_id} in Dagster ended before it began to score")
        elif not runs and n_going < AT_ONCE:
            n_going += 1
            config = {"config": {"batch_id": batch.batch_id}}
            requests.append(
                dg.RunRequest(
                    run_key=key,
                    run_config={"ops": {BATCH_SCORES.to_python_identifier(): config}},
                    tags={BATCH_TAG: key},
                )
            )
    return requests or dg.SkipReason(f"{len(waiting):,} batches wait; {n_going} are being scored, {AT_ONCE} at a time")
