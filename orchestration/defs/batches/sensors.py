"""Starts a run for each waiting batch; ends or requeues batches whose run is gone."""

from datetime import UTC, datetime

import dagster as dg

from orchestration.defs.pipeline.jobs import score_batch
from orchestration.lib.layers import BATCH_SCORES
from orchestration.lib.lenders import why_unknown
from orchestration.lib.retries import UNFINISHED
from warehouse.batches import Batch, BatchStates
from warehouse.settings import Settings

#: Concurrent runs of batches: each needs a process and a bundle's memory.
AT_ONCE = 2
#: The batch and attempt of a run.
BATCH_TAG = "loanlake/batch"
_UNFINISHED = [*UNFINISHED, dg.DagsterRunStatus.CANCELING]


@dg.sensor(job=score_batch, minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING)
def batches_to_score(context: dg.SensorEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
    """Start runs for the batches that have waited longest, a few at a time."""
    states = BatchStates(Settings.from_environment())
    states.end_abandoned()
    now = datetime.now(UTC).replace(tzinfo=None)
    queued = states.queued()
    waiting = [batch for batch in queued if batch.is_due(now)]
    if not waiting:
        return dg.SkipReason(f"{len(queued):,} postponed batches wait for their time" if queued else "no batch waits")
    unfinished = context.instance.get_runs(dg.RunsFilter(job_name=score_batch.name, statuses=_UNFINISHED))
    on_the_way = {run.tags.get(BATCH_TAG) for run in unfinished}
    # by batches: a Dagster run killed together with Dagster stays "started"
    n_going = len(states.running()) + sum(_key(batch) in on_the_way for batch in waiting)
    requests = []
    for batch in waiting:
        key = _key(batch)
        if why := why_unknown(batch.request.source):
            states.stop(batch, why, advice="; the batch can be tried again")
            continue
        if key in on_the_way:
            continue
        runs = context.instance.get_runs(dg.RunsFilter(job_name=score_batch.name, tags={BATCH_TAG: key}), limit=1)
        if runs and runs[0].is_finished:
            _give_back(states, batch, runs[0])
        elif not runs and n_going < AT_ONCE:
            n_going += 1
            config = {"config": {"batch_id": batch.batch_id}}
            requests.append(
                dg.RunRequest(
                    run_key=key,
                    partition_key=batch.request.source,
                    run_config={"ops": {BATCH_SCORES.to_python_identifier(): config}},
                    tags={BATCH_TAG: key},
                )
            )
    return requests or dg.SkipReason(f"{len(waiting):,} batches wait; {n_going} are being scored, {AT_ONCE} at a time")


def _give_back(states: BatchStates, batch: Batch, run: dg.DagsterRun) -> None:
    """Requeue the batch of a run that never reached it: the start failed, or a person cancelled it."""
    if run.status == dg.DagsterRunStatus.CANCELED:
        reason = f"run {run.run_id} was cancelled in Dagster before it began to score"
        states.stop(batch, reason, advice="; the batch can be tried again")
    else:
        states.postpone(batch, f"run {run.run_id} in Dagster ended before it began to score; the next comes by itself")


def _key(batch: Batch) -> str:
    return f"{batch.batch_id}/{batch.attempt}"
