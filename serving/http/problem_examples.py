"""What the API's description shows of each error: a problem document as the API itself would write it."""

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
    409: BatchConflict("Only a batch that failed or was cancelled can be tried again: this one has succeeded"),
    406: NotAcceptable(
        "Accept one of application/json, text/csv and application/vnd.apache.parquet: found 'image/png'"
    ),
}
CANCEL = {409: BatchConflict("Only a batch that is queued or running can be cancelled: this one has succeeded")}
RESULTS = {409: BatchConflict("Results are there once a batch has succeeded: this one is running")}
DECISION = {400: NO_QUERY, 404: UnknownDecision("No decision of this API has that id")}
OUTCOME = {404: UnknownApplication("This caller has had no application of that id scored")}
VERSIONS = {400: NO_QUERY, 404: UnknownSource("No model of the source 'simualted' is registered")}
APPROVAL = {
    404: UnknownVersion("No version 9 of a model of this source is registered; registered: 7, 8"),
    409: NotApprovable("version 8 was refused by out_of_time_auc: name the gate in override, or train another version"),
}
MODEL = {400: NO_QUERY}
_USUAL: Mapping[int, Problem | ProblemDocument] = {
    400: _BODY,
    401: Unauthenticated("The key 3b1e9a20c4d7 is revoked"),
    408: http_problem(
        HTTPStatus.REQUEST_TIMEOUT,
        "The request was not whole within 20 s of its first byte (LOANLAKE_REQUEST_SECONDS)",
    ),
    413: http_problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "The body is larger than this server takes (LOANLAKE_BODY_BYTES; LOANLAKE_BATCH_BYTES for /v1/batches)",
    ),
    415: UnsupportedMediaType("Send the header Content-Type: application/json: found 'text/plain'"),
    422: NotScorable("interest_to_income: ln(0) has no result"),
    429: TooManyRequests("100 requests a minute are allowed; the next may come in 17 s", retry_after_seconds=17),
    503: Unavailable("no model is deployed: `loanlake run` trains and publishes one", retry_after_seconds=10),
}


def problem_example(status: int, *, scope: str, own: Mapping[int, Problem]) -> dict[str, Any]:
    """A document of that status; ``own``: those of the operation, where they differ from what is usual."""
    if status == HTTPStatus.FORBIDDEN:
        refused = NotPermitted(f"This needs the scope {scope!r}: the key 3b1e9a20c4d7 has none", scope=scope)
        return _plain(msgspec.structs.replace(refused.document(), scope=scope))
    found = own.get(status) or _USUAL[status]
    return _plain(found.document() if isinstance(found, Problem) else found)


def _plain(document: ProblemDocument) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(document)
    return plain
