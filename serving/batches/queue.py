"""Accept, show, cancel and retry batches: everything except scoring.

File access runs in a thread, and bodies are read one at a time: tens of thousands of rows take a second, while scores
must continue.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import msgspec

from ml.batches.rows import request_fields
from ml.bundle.feature_rows import model_columns
from ml.decisions.problems import Violation
from serving.access.caller import Caller
from serving.access.guards import require_reach
from serving.batches.body import MEDIA_TYPES, TableRequest, checked_rows, read_body
from serving.batches.wire import BatchStatus, batch_location
from serving.deployed.deployment_watch import DeploymentWatch
from serving.deployed.served_model import ServedDeployment
from serving.http.clock import in_utc, utc_now
from serving.http.json_body import media_type
from serving.http.problems import (
    BatchConflict,
    InvalidRequest,
    KeyReused,
    TooManyRequests,
    Unavailable,
    UnknownBatch,
    unknown_cursor,
)
from serving.http.public_text import without_paths
from serving.http.wire import ModelVersion
from serving.options import ServingOptions
from serving.scoring.decision_ids import is_decision_id, new_decision_id
from warehouse.batches import Batch, BatchFiles, BatchRequest, BatchStates, State
from warehouse.batches.batch import batch_key_id, body_digest
from warehouse.errors import BatchStateError, BatchTableError, LakeError, TeamError
from warehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger("loanlake.serving")

#: Bodies in memory, arriving or waiting, of up to 16 MB each; and those of one caller, whose slow sending must not
#: block others.
_MOST_BODIES = 8
_MOST_BODIES_OF_CALLER = 2

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


class BatchService:
    """The batches of one home; callers see their own, ``admin`` all."""

    def __init__(self, settings: Settings, *, deployments: DeploymentWatch, options: ServingOptions):
        self._settings = settings
        self._states = BatchStates(settings)
        self._deployments = deployments
        self._options = options
        self._reading = asyncio.Lock()
        self._bodies: Counter[str] = Counter()

    @contextmanager
    def place_for_a_body(self, caller: Caller) -> Iterator[None]:
        """A place from before a body is received until it is read.

        Raises TooManyRequests if this caller sends too many, Unavailable if all callers together do.
        """
        if self._bodies[caller.caller_id] >= _MOST_BODIES_OF_CALLER:
            raise TooManyRequests(
                f"{_MOST_BODIES_OF_CALLER} batches of this caller are being received: send one at a time",
                retry_after_seconds=1,
            )
        if self._bodies.total() >= _MOST_BODIES:
            raise Unavailable(f"{_MOST_BODIES} batches are being received, which is the limit of this worker")
        self._bodies[caller.caller_id] += 1
        try:
            yield
        finally:
            self._bodies[caller.caller_id] -= 1
            self._bodies += Counter()  # forget callers with none

    async def accept(
        self, lender: str | None, body: bytes, content_type: str | None, caller: Caller, key: str | None
    ) -> Batch:
        """A durable batch that waits for its run; the same body under the same key gives the same batch.

        ``lender``: None for the default one. Raises InvalidRequest for an invalid body or unusable table, KeyReused for
        another body under the key, TooManyRequests if this caller has too many waiting, and Unavailable if all callers
        have, nothing is deployed or nothing can be stored.
        """
        source = self._deployments.name(lender)
        digest = body_digest(body, media_type(content_type, *MEDIA_TYPES))
        key_id = batch_key_id(caller.caller_id, key) if key is not None else None
        batch = await _kept(self._states.find_by_key, key_id) if key_id is not None else None
        if batch is None:
            served = self._deployments.served(source)
            await self._require_place_in_queue(caller)
            batch_id = new_decision_id()
            async with self._reading:
                request = await _kept(self._read, served, body, content_type, batch_id)
            request = msgspec.structs.replace(request, caller_name=caller.name)
            try:
                batch = await _kept(
                    self._states.add,
                    batch_id,
                    request,
                    caller_id=caller.caller_id,
                    body_sha256=digest,
                    key_id=key_id,
                )
            except Exception:
                await _kept(BatchFiles(self._settings, batch_id).remove)
                raise
            if batch.batch_id != batch_id:  # a concurrent request with the same key was first
                await _kept(BatchFiles(self._settings, batch_id).remove)
        if (batch.body_sha256, batch.request.source) != (digest, source):
            raise KeyReused("This Idempotency-Key was used for another batch: send a new key, or the same batch")
        return batch

    async def _require_place_in_queue(self, caller: Caller) -> None:
        own, most = self._options.queued_batches_of_caller, self._options.queued_batches
        if await _kept(self._states.count, caller_id=caller.caller_id) >= own:
            raise TooManyRequests(
                f"{own} batches of this caller are waiting (LOANLAKE_QUEUED_BATCHES_OF_CALLER)", retry_after_seconds=60
            )
        if await _kept(self._states.count) >= most:
            raise Unavailable(f"{most} batches are waiting (LOANLAKE_QUEUED_BATCHES)", retry_after_seconds=60)

    async def find(self, batch_id: str, caller: Caller) -> Batch:
        """A batch of this caller; raises UnknownBatch."""
        batch = await _kept(self._states.find, batch_id)
        if batch is None or not (batch.caller_id == caller.caller_id or caller.may("admin")):
            raise UnknownBatch("No batch of this caller has that id")
        require_reach(caller, batch.request.source)
        return batch

    def status(self, batch: Batch) -> BatchStatus:
        """What callers see of a batch."""
        done = batch.n_done / batch.n_rows if batch.n_rows else 0.0
        has_succeeded = batch.state == "succeeded"
        model = None
        if batch.model_name is not None and batch.model_version is not None and batch.feature_version is not None:
            model = ModelVersion(batch.model_name, batch.model_version, batch.feature_version)
        return BatchStatus(
            batch_id=batch.batch_id,
            state=batch.state,
            share_done=1.0 if has_succeeded else round(done, 4),
            n_rows=batch.n_rows,
            n_done=batch.n_done,
            n_scored=batch.n_scored,
            n_refused=batch.n_refused,
            attempt=batch.attempt,
            is_cancelling=batch.is_cancelling,
            table=batch.request.table,
            reason=without_paths(batch.reason, self._settings.home) if batch.reason is not None else None,
            created_at=batch.created_at.replace(tzinfo=UTC),
            started_at=in_utc(batch.started_at),
            ended_at=in_utc(batch.ended_at),
            model=model,
            lake_snapshot=batch.lake_snapshot,
            run_id=batch.run_id,
            results=f"{batch_location(batch.batch_id)}/results" if has_succeeded else None,
        )

    async def page(
        self, caller: Caller, *, state: State | None, cursor: str | None, limit: int
    ) -> tuple[list[Batch], str | None]:
        """Up to ``limit`` own batches, newest first, and the next cursor; InvalidRequest for an unknown cursor."""
        if cursor is not None and not is_decision_id(cursor):
            raise unknown_cursor(cursor)
        owner = None if caller.may("admin") else caller.caller_id
        found = await _kept(
            self._states.newest, limit + 1, caller_id=owner, sources=caller.lenders, state=state, before=cursor
        )
        return found[:limit], found[limit - 1].batch_id if len(found) > limit else None

    async def cancel(self, batch_id: str, caller: Caller) -> Batch:
        """Cancel it, now or once its run notices; raises UnknownBatch or BatchConflict."""
        await self.find(batch_id, caller)
        return await _kept(self._states.cancel, batch_id)

    async def retry(self, batch_id: str, caller: Caller) -> Batch:
        """Put it back into the queue; raises UnknownBatch or BatchConflict."""
        await self.find(batch_id, caller)
        return await _kept(self._states.retry, batch_id)

    async def results(self, batch_id: str, caller: Caller) -> BatchFiles:
        """Files of the results; raises UnknownBatch, or BatchConflict before they exist."""
        batch = await self.find(batch_id, caller)
        files = BatchFiles(self._settings, batch_id)
        if batch.state != "succeeded":
            raise BatchConflict(f"Results exist only after a batch has succeeded: this one is {batch.state}")
        await _kept(files.fetch)
        if not files.results.exists():
            raise UnknownBatch("The results of this batch have been removed; serving.batch_scores has its scores")
        return files

    def _read(self, served: ServedDeployment, body: bytes, content_type: str | None, batch_id: str) -> BatchRequest:
        found = read_body(body, content_type, served.request_schema, most_rows=self._options.queued_batch_rows)
        if isinstance(found, TableRequest):
            with self._lake(found.table) as con:
                if found.of_applications:
                    return self._take_table(con, found.table, served, batch_id)
                self._check_table(con, found.table, served)
            return BatchRequest(source=served.lender, table=found.table, with_reasons=found.reasons)
        return self._take_rows(found, self._request(served, n_rows=len(found)), served, batch_id)

    def _take_table(
        self, con: "duckdb.DuckDBPyConnection", name: str, served: ServedDeployment, batch_id: str
    ) -> BatchRequest:
        """The rows of a table of applications, handled as if sent."""
        from warehouse.batches.tables import application_table

        schema, most = served.request_schema, self._options.queued_batch_rows
        required = [field for field in schema.fields if schema.is_required(field)]
        table = application_table(con, name, served.lender, schema.fields, required=required)
        if not 0 < table.n_rows <= most:
            raise BatchTableError(
                f"a table of applications must hold 1 to {most:,} rows (LOANLAKE_QUEUED_BATCH_ROWS): {name} holds "
                f"{table.n_rows:,}"
            )
        request = self._request(served, table=name, n_rows=table.n_rows, lake_snapshot=table.lake_snapshot)
        return self._take_rows(table.rows, request, served, batch_id)

    def _take_rows(
        self, rows: Iterable[Any], request: BatchRequest, served: ServedDeployment, batch_id: str
    ) -> BatchRequest:
        checked = checked_rows(rows, served.request_schema, utc_now())
        BatchFiles(self._settings, batch_id).write_rows(checked)
        return request

    def _request(self, served: ServedDeployment, **of_rows: Any) -> BatchRequest:
        """A batch with its rows in files, each a decision by this server's policy."""
        policy = self._options.history
        return BatchRequest(
            source=served.lender,
            request_fields=request_fields(served.champion.contract),
            checked_by=served.champion.name,
            history_max_age_hours=policy.max_age.total_seconds() / 3600 if policy.max_age is not None else None,
            history_stale=policy.stale,
            history_unavailable=policy.unavailable,
            **of_rows,
        )

    def _check_table(self, con: "duckdb.DuckDBPyConnection", name: str, served: ServedDeployment) -> None:
        from warehouse.batches.tables import scorable_table

        try:
            scorable_table(con, name, model_columns(served.champion.scorer.bundle))
        except BatchTableError as error:
            raise BatchTableError(f'{error}. A table of applications is named with "rows": "applications"') from None

    @contextmanager
    def _lake(self, table: str) -> Iterator["duckdb.DuckDBPyConnection"]:
        """The lake, to inspect a table; raises a problem for the caller if it is unusable."""
        # DuckDB, which no score needs
        import duckdb

        from warehouse.lake.connection import connect, lake_exists

        try:
            if not lake_exists(self._settings):
                raise BatchTableError(
                    f"a batch's table must be a table of the lake: found {table[:100]!r}, and no lake"
                )
            with connect(self._settings) as con:
                yield con
        except BatchTableError as error:
            detail = str(error)
            raise InvalidRequest(
                f"{detail[0].upper()}{detail[1:]}",
                (Violation(field="table", rule="must be a table that the model can score", found=table[:100]),),
            ) from None
        except LakeError as error:
            raise Unavailable(f"The lake cannot be read: {error}", retry_after_seconds=10) from None
        except duckdb.Error as error:
            log.error("a table cannot be read", extra={"reason": str(error)})
            raise Unavailable("The table cannot be read now: retry", retry_after_seconds=10) from None


async def _kept(call: Callable[_Given, _Found], *args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
    """The result of a call in a thread; raises a problem for the caller instead of the disk's error."""
    try:
        return await asyncio.to_thread(call, *args, **kwargs)
    except BatchStateError as error:
        text = str(error)
        raise BatchConflict(f"{text[0].upper()}{text[1:]}") from None
    except (sqlite3.Error, OSError, TeamError) as error:
        log.error("batches cannot be kept", extra={"reason": str(error)})
        raise Unavailable("Batches cannot be stored or read now; nothing was changed: retry") from error
