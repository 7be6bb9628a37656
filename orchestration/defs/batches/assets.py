"""One batch scored: rows or a table that a caller of the API asked for."""

from collections.abc import Callable

import dagster as dg

from orchestration.layers import BATCH_SCORES, DEPLOYMENT
from warehouse.settings import Settings


class BatchToScore(dg.Config):
    """Which batch a run scores; ``GET /v1/batches/{batch_id}`` tells its caller how far it is.

    None where somebody materialises all assets at once: then nothing is scored, and that run needs no configuration.
    """

    batch_id: str | None = None


# no place in the writer's pool while it scores: only the insert at its end writes, under the lake's own lease
@dg.asset(key=BATCH_SCORES, deps=[DEPLOYMENT], group_name="serving", kinds={"python", "xgboost"})
def batch_scores(context: dg.AssetExecutionContext, config: BatchToScore) -> dg.MaterializeResult[None]:
    """The newest batch of the API that was scored: a row of `serving.batch_scores` for each of its rows."""
    from ml.batch_runs import run_batch

    if config.batch_id is None:
        return dg.MaterializeResult(metadata={"summary": "nothing to do: no batch was named"})
    told = _Progress(context.log.info)
    batch = run_batch(Settings.from_environment(), config.batch_id, run_id=context.run_id, tell=told)
    if batch is None:
        return dg.MaterializeResult(metadata={"summary": "nothing to do: the batch does not wait any more"})
    if batch.state == "failed":
        raise dg.Failure(f"batch {batch.batch_id}: {batch.reason}", allow_retries=False)
    seconds = (batch.ended_at - batch.started_at).total_seconds() if batch.ended_at and batch.started_at else 0.0
    return dg.MaterializeResult(
        metadata={
            "summary": f"{batch.state}: {batch.n_scored:,} rows scored, {batch.n_refused:,} refused",
            "batch": batch.batch_id,
            "table": batch.request.table or "rows that were sent",
            "rows": batch.n_rows or 0,
            "scored": batch.n_scored,
            "refused": batch.n_refused,
            "model": f"{batch.model_name} version {batch.model_version}",
            "seconds": round(seconds, 2),
        }
    )


class _Progress:
    """Says how far a batch is, each tenth of its way."""

    def __init__(self, say: Callable[[str], None]):
        self._say = say
        self._tenths = 0

    def __call__(self, n_done: int, n_rows: int) -> None:
        tenths = 10 * n_done // max(n_rows, 1)
        if tenths > self._tenths:
            self._tenths = tenths
            self._say(f"{n_done:,} of {n_rows:,} rows scored ({n_done / n_rows:.0%})")
