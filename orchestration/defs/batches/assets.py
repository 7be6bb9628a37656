"""Scores one batch: rows or a table sent by a caller of the API."""

from collections.abc import Iterator

import dagster as dg

from ml.batches.runs import run_batch
from orchestration.lib.layers import BATCH_SCORES, DEPLOYMENT
from orchestration.lib.lenders import LENDERS
from warehouse.settings import Settings


class BatchToScore(dg.Config):
    """The batch that a run scores; ``GET /v1/batches/{batch_id}`` shows its caller the progress.

    None if a person materialises all assets together: then nothing is scored, and the run needs no configuration.
    """

    batch_id: str | None = None


# outside the writer's pool: only the insert at its end writes, under the lake's lease
@dg.asset(
    key=BATCH_SCORES,
    deps=[DEPLOYMENT],
    partitions_def=LENDERS,
    group_name="serving",
    kinds={"python"},
    output_required=False,  # a run that published nothing is not a materialisation
)
def batch_scores(context: dg.AssetExecutionContext, config: BatchToScore) -> Iterator[dg.MaterializeResult[None]]:
    """The lender's newest batch that was scored: one row of `serving.batch_scores` for each of its rows."""
    if config.batch_id is None:
        context.log.info("nothing to do: no batch was named")
        return
    batch = run_batch(Settings.from_environment(), config.batch_id, run_id=context.run.run_id, say=context.log.info)
    if batch is None:
        context.log.info(f"nothing to do: batch {config.batch_id} does not wait (any more), or another run has it")
        return
    if batch.state == "queued":
        context.log.warning(
            f"batch {batch.batch_id} is scored and not published: {batch.reason}. It is tried again at "
            f"{batch.not_before:%H:%M:%S} UTC"
        )
        return
    if batch.state == "failed":
        raise dg.Failure(f"batch {batch.batch_id}: {batch.reason}", allow_retries=False)
    if batch.state != "succeeded":
        context.log.info(f"batch {batch.batch_id} was cancelled by its caller: nothing of it was published")
        return
    seconds = (batch.ended_at - batch.started_at).total_seconds() if batch.ended_at and batch.started_at else 0.0
    yield dg.MaterializeResult(
        metadata={
            "summary": f"{batch.n_scored:,} rows scored, {batch.n_refused:,} refused",
            "batch": batch.batch_id,
            "table": batch.request.table or "rows that were sent",
            "rows": batch.n_rows or 0,
            "scored": batch.n_scored,
            "refused": batch.n_refused,
            "model": f"{batch.model_name} version {batch.model_version}",
            "seconds": round(seconds, 2),
        }
    )
