"""One run of one batch, as Dagster executes it: claim, score, publish, finish.

Scoring ends when the result file has its final name. Publishing waits for the lake's writer lease and can be repeated:
the log keeps the first entry of an id, and one transaction replaces the batch's rows. A run killed while scoring loses
its scores; one killed later loses nothing, since the next attempt continues. A failed or cancelled batch has no
decisions.
"""

import time
from collections.abc import Callable
from contextlib import closing

from ml.batches.results import ResultColumns, put_into_lake
from ml.batches.rows import read_decisions, request_fields, score_rows
from ml.batches.tables import find_table, score_table
from ml.registry.deployment import Deployment, read_deployment
from ml.registry.registered_version import load_registered
from warehouse import decision_log
from warehouse.batches import Batch, BatchFiles, BatchStates
from warehouse.errors import BatchStateError, LoanlakeError
from warehouse.files.patterns import parquet
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

_SECONDS_BETWEEN_NOTES = 0.5
_SECONDS_BETWEEN_WORDS = 10.0


class _Cancelled(Exception):
    """The caller cancelled the run."""


def run_batch(
    settings: Settings, batch_id: str, *, run_id: str, say: Callable[[str], None] = lambda _: None
) -> Batch | None:
    """Score a queued batch with the current champion; return the batch as this run leaves it.

    The batch has succeeded, failed, was cancelled, or waits again: after the results are written, any interruption only
    postpones it. ``say`` gets the progress in words, at each tenth and every ten seconds. Returns None if another run
    has the batch, or it no longer waits. Records the batch's state, then raises what neither a user nor a later run can
    fix.
    """
    states, files = BatchStates(settings), BatchFiles(settings, batch_id)
    with files.turn() as is_ours:
        files.fetch()
        batch = states.claim(batch_id, run_id) if is_ours else None
        if batch is None:
            return None
        try:
            _Run(settings, states, files, batch, say).score_and_publish()
        except _Cancelled:
            return states.finish(batch, "cancelled")
        except LoanlakeError as error:
            return states.stop(batch, str(error))
        except Exception as error:
            states.stop(batch, f"stopped by {type(error).__name__}, see run {run_id} in Dagster")
            raise
        except BaseException:  # raised by a signal: the run, or all of Dagster, was ended
            states.stop(batch, f"run {run_id} was terminated in Dagster", advice="; the batch can be tried again")
            raise
        return states.finish(batch, "succeeded")


class _Run:
    def __init__(
        self, settings: Settings, states: BatchStates, files: BatchFiles, batch: Batch, say: Callable[[str], None]
    ):
        self._settings, self._states, self._files, self._batch = settings, states, files, batch
        self._say = say
        self._n_rows = batch.n_rows or 0
        self._noted_at = self._said_at = time.monotonic()
        self._tenths_said = 0

    def score_and_publish(self) -> None:
        if not self._files.results.exists():
            self._files.remove_results()
            try:
                self._score()
            except BaseException:
                self._files.remove_results()
                raise
        self._publish()

    def _score(self) -> None:
        settings, batch, files = self._settings, self._batch, self._files
        lender = batch.request.source
        deployment = read_deployment(settings, lender)
        if deployment is None:
            raise BatchStateError(
                f"no model of {lender} is deployed: try again once `loanlake run {lender}` has deployed one"
            )
        bundle = load_registered(settings, lender, deployment.model_version)
        common = ResultColumns.of(batch.batch_id, deployment)
        self._note(
            model_name=deployment.model_name,
            model_version=deployment.model_version,
            feature_version=deployment.feature_version,
        )
        if not batch.request.has_rows and batch.request.table is not None:
            with connect(settings) as con:
                table = find_table(con, batch.request.table, bundle)
            self._n_rows = table.n_rows
            self._note(n_rows=table.n_rows, lake_snapshot=table.lake_snapshot)
            self._say_what(deployment)
            score_table(
                settings,
                table,
                bundle,
                common=common,
                path=files.draft_of(files.results),
                with_reasons=batch.request.with_reasons,
                scored=self._scored,
            )
        else:
            _require_fields(batch, request_fields(bundle.contract), deployment)
            self._say_what(deployment)
            score_rows(settings, batch, bundle, deployment, common=common, scored=self._scored)
            files.put(files.decisions)
        self._note()
        files.put(files.results)

    def _say_what(self, deployment: Deployment) -> None:
        rows = self._batch.request.table or "what was sent"
        self._say(
            f"batch {self._batch.batch_id}: {self._n_rows:,} rows of {rows}, scored by {deployment.model_name} version "
            f"{deployment.model_version}"
        )

    def _scored(self, n_done: int) -> None:
        now, tenths = time.monotonic(), 10 * n_done // max(self._n_rows, 1)
        if tenths > self._tenths_said or now - self._said_at >= _SECONDS_BETWEEN_WORDS:
            self._tenths_said, self._said_at = tenths, now
            self._say(f"{n_done:,} of {self._n_rows:,} rows scored ({n_done / self._n_rows:.0%})")
        if now - self._noted_at >= _SECONDS_BETWEEN_NOTES:
            self._note(n_done=n_done)

    def _note(self, **columns: object) -> None:
        self._noted_at = time.monotonic()
        if not self._states.note(self._batch, **columns):
            raise _Cancelled

    def _publish(self) -> None:
        """Publish under the writer lease (a busy lake gets no decision at all); a cancellation no longer counts."""
        batch, files = self._batch, self._files
        self._say("results are written; publishing them as soon as no other writer has the lake")
        with writer(f"scores of batch {batch.batch_id}", self._settings) as con:
            with closing(decision_log.create(self._settings)) as log:
                for decisions in read_decisions(files):
                    decision_log.append(log, decisions)
            put_into_lake(con, self._settings, files.results, batch_id=batch.batch_id, attempt=batch.attempt)
            ((n_rows, n_scored),) = con.execute(
                f"select count(*), count(*) filter (problem is null) from {parquet(files.results)}"
            ).fetchall()
        self._states.note(batch, n_rows=n_rows, n_done=n_rows, n_scored=n_scored, n_refused=n_rows - n_scored)
        files.decisions.unlink(missing_ok=True)


def _require_fields(batch: Batch, fields: str, deployment: Deployment) -> None:
    if batch.request.request_fields != fields:
        raise BatchStateError(
            f"the fields of its rows are those of {batch.request.checked_by}, the champion when it was taken; "
            f"{deployment.model_name} version {deployment.model_version}, the champion now, takes others: send the "
            "batch again with them (to try this one again helps only after a rollback)"
        )
