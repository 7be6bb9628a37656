"""``/v1/batches``: files and lake tables, scored in the background."""

from typing import Annotated, Any, cast, get_args

from litestar import Controller, Request, Response, get, post
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from ml.decisions.problems import Violation
from serving.access.guards import SCOPE, caller
from serving.batches.downloads import accepted_form, file_name, streamed
from serving.batches.queue import BatchService
from serving.batches.wire import BatchList, BatchResults, BatchStatus, batch_location
from serving.controllers.openapi import Cursor, Limit, key_or_token, operation, problems
from serving.controllers.scores import IdempotencyKey
from serving.http.json_body import receive
from serving.http.problem_examples import BATCH, CANCEL, LISTED, RESULTS
from serving.http.problems import InvalidRequest
from warehouse.batches import State

# as text: Litestar reserves the name `state`, and would show its own name in an error
InState = Annotated[
    str | None, QueryParameter(name="state", description="Only batches in this state.", enum=get_args(State))
]
_LOCATION = ResponseHeader(name="Location", description="Path of the batch", documentation_only=True)


class BatchesController(Controller):
    """Score many applications, or a table of the lake, in a run."""

    path = "/v1/batches"
    tags = ("Batches",)
    opt = {SCOPE: "batch"}  # noqa: RUF012 - Litestar reads it as a class attribute
    security = key_or_token("batch")

    @post(
        status_code=202,
        summary="Create a batch",
        operation_id="createBatch",
        operation_class=operation("BatchRequest", "text/csv"),
        responses=problems(400, 408, 413, 415, 422, 503, scope="batch"),
        response_headers=[_LOCATION],
    )
    async def accept(
        self,
        request: Request[Any, Any, Any],
        batches: NamedDependency[BatchService],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[BatchStatus]:
        """Accept rows, or the name of a lake table. After 202 the batch is stored.

        Rows are checked immediately and scored later; an invalid row appears in the results with its problem. The
        same body with the same Idempotency-Key is the same batch.
        """
        with batches.place_for_a_body(caller(request)):
            body = await receive(request)
            batch = await batches.accept(body, request.headers.get("content-type"), caller(request), idempotency_key)
        return Response(batches.status(batch), headers={"Location": batch_location(batch.batch_id)})

    @get(
        summary="List batches", operation_id="listBatches", responses=problems(400, 503, scope="batch", examples=LISTED)
    )
    async def list_batches(
        self,
        request: Request[Any, Any, Any],
        batches: NamedDependency[BatchService],
        in_state: InState = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> BatchList:
        """The caller's batches, newest first; those of all callers for `admin`."""
        found, next_cursor = await batches.page(caller(request), state=_state(in_state), cursor=cursor, limit=limit)
        return BatchList(tuple(batches.status(each) for each in found), next_cursor)

    @get(
        "/{batch_id:str}",
        summary="Get a batch",
        operation_id="getBatch",
        responses=problems(404, 503, scope="batch", examples=BATCH),
    )
    async def status(
        self, request: Request[Any, Any, Any], batch_id: FromPath[str], batches: NamedDependency[BatchService]
    ) -> BatchStatus:
        """The state of a batch: queued, running, succeeded, failed (with the reason), or cancelled."""
        return batches.status(await batches.find(batch_id, caller(request)))

    @post(
        "/{batch_id:str}/cancel",
        status_code=200,
        summary="Cancel a batch",
        operation_id="cancelBatch",
        responses=problems(404, 409, 503, scope="batch", examples=BATCH | CANCEL),
    )
    async def cancel(
        self, request: Request[Any, Any, Any], batch_id: FromPath[str], batches: NamedDependency[BatchService]
    ) -> BatchStatus:
        """Cancel a batch: immediately if it is queued, within a second or two if it is running."""
        return batches.status(await batches.cancel(batch_id, caller(request)))

    @post(
        "/{batch_id:str}/retry",
        status_code=202,
        summary="Retry a batch",
        operation_id="retryBatch",
        responses=problems(404, 409, 503, scope="batch", examples=BATCH),
    )
    async def retry(
        self, request: Request[Any, Any, Any], batch_id: FromPath[str], batches: NamedDependency[BatchService]
    ) -> BatchStatus:
        """Queue a failed or cancelled batch again."""
        return batches.status(await batches.retry(batch_id, caller(request)))

    @get(
        "/{batch_id:str}/results",
        summary="Get the results of a batch",
        operation_id="getBatchResults",
        responses=problems(404, 406, 409, 503, scope="batch", examples=BATCH | RESULTS)
        | {200: ResponseSpec(BatchResults, description="One row for each row of the batch", generate_examples=False)},
    )
    async def results(
        self, request: Request[Any, Any, Any], batch_id: FromPath[str], batches: NamedDependency[BatchService]
    ) -> Stream:
        """The rows of a succeeded batch, each with its score or problem, as JSON, CSV or Parquet (`Accept`)."""
        files = await batches.results(batch_id, caller(request))
        form = accepted_form(request.headers.get("accept"))
        named = {"Content-Disposition": f'attachment; filename="{file_name(batch_id, form)}"'}
        return Stream(streamed(files.results, form, batch_id), media_type=form, headers=named)


def _state(text: str | None) -> State | None:
    if text is None or text in get_args(State):
        return cast("State | None", text)
    rule = f"must be one of {', '.join(get_args(State))}"
    raise InvalidRequest("Unknown state of a batch", (Violation(field="state", rule=rule, found=text[:100]),))
