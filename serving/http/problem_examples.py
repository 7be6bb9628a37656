"""Example problem documents in the API description, as the API writes them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from ml.decisions.problems import ProblemDocument, Violation
from serving.http.problems import (
    BatchConflict,
    InvalidRequest,
    NotAcceptable,
    NotApprovable,
    NotPermitted,
    NotScorable,
    Problem,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnknownApplication,
    UnknownBatch,
    UnknownDecision,
    UnknownSource,
    UnknownVersion,
    UnsupportedMediaType,
    http_problem,
)

_BODY = InvalidRequest(
    "1 of the body's fields break their rules: term_months",
    (Violation(field="term_months", rule="must be a whole number from 1 to 480", found=0),),
)
_QUERY = InvalidRequest(
    "Unknown query parameters: limt. This path has: cursor, limit",
    (Violation(field="limt", rule="is not a parameter of this path; did you mean limit?"),),
)
NO_QUERY = InvalidRequest(
    "Unknown query parameters: verbose. This path has: none",
    (Violation(field="verbose", rule="is not a parameter of this path"),),
)
LISTED = {400: _QUERY}
BATCH = {
    400: NO_QUERY,
    404: UnknownBatch("No batch of this caller has that id"),
    409: BatchConflict("Only a failed or cancelled batch can be retried: this one has succeeded"),
    406: NotAcceptable(
        "Accept one of application/json, text/csv and application/vnd.apache.parquet: found 'image/png'"
    ),
}
CANCEL = {409: BatchConflict("Only a queued or running batch can be cancelled: this one has succeeded")}
RESULTS = {409: BatchConflict("Results exist only after a batch has succeeded: this one is running")}
DECISION = {400: NO_QUERY, 404: UnknownDecision("No decision has that id")}
OUTCOME = {404: UnknownApplication("This caller has scored no application with that id")}
VERSIONS = {400: NO_QUERY, 404: UnknownSource("No model of the source 'simualted' is registered")}
APPROVAL = {
    404: UnknownVersion("Version 9 is not registered for this source; registered: 7, 8"),
    409: NotApprovable("version 8 was refused by out_of_time_auc: name the gate in override, or train another version"),
}
MODEL = {400: NO_QUERY}
_USUAL: Mapping[int, Problem | ProblemDocument] = {
    400: _BODY,
    401: Unauthenticated("The key 3b1e9a20c4d7 is revoked"),
    408: http_problem(
        HTTPStatus.REQUEST_TIMEOUT,
        "The request was not complete within 20 s of its first byte (LOANLAKE_REQUEST_SECONDS)",
    ),
    413: http_problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "The body is larger than the server accepts (LOANLAKE_BODY_BYTES; LOANLAKE_BATCH_BYTES for /v1/batches)",
    ),
    415: UnsupportedMediaType("Send the header Content-Type: application/json: found 'text/plain'"),
    422: NotScorable("interest_to_income: ln(0) has no result"),
    429: TooManyRequests("100 requests a minute are allowed; send the next in 17 s", retry_after_seconds=17),
    503: Unavailable("no model is deployed: `loanlake run` trains and publishes one", retry_after_seconds=10),
}


def problem_example(status: int, *, scope: str, own: Mapping[int, Problem]) -> dict[str, Any]:
    """A document with that status; ``own``: examples of the operation that differ from the usual ones."""
    if status == HTTPStatus.FORBIDDEN:
        refused = NotPermitted(f"Requires the scope {scope!r}: the key 3b1e9a20c4d7 has none", scope=scope)
        return _plain(msgspec.structs.replace(refused.document(), scope=scope))
    found = own.get(status) or _USUAL[status]
    return _plain(found.document() if isinstance(found, Problem) else found)


def _plain(document: ProblemDocument) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(document)
    return plain
