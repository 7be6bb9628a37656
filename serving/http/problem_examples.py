"""Example problem documents in the API description, as the API writes them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from ml.decisions.problems import ProblemDocument, Violation
from serving.http import problems

_BODY = problems.InvalidRequest(
    "1 of the body's fields break their rules: term_months",
    (Violation(field="term_months", rule="must be a whole number from 1 to 480", found=0),),
)
_QUERY = problems.InvalidRequest(
    "Unknown query parameters: limt. This path has: cursor, limit",
    (Violation(field="limt", rule="is not a parameter of this path; did you mean limit?"),),
)
NO_QUERY = problems.InvalidRequest(
    "Unknown query parameters: verbose. This path has: none",
    (Violation(field="verbose", rule="is not a parameter of this path"),),
)
LISTED = {400: _QUERY}
BATCH = {
    400: NO_QUERY,
    404: problems.UnknownBatch("No batch of this caller has that id"),
    409: problems.BatchConflict("Only a failed or cancelled batch can be retried: this one has succeeded"),
    406: problems.NotAcceptable(
        "Accept one of application/json, text/csv and application/vnd.apache.parquet: found 'image/png'"
    ),
}
CANCEL = {409: problems.BatchConflict("Only a queued or running batch can be cancelled: this one has succeeded")}
RESULTS = {409: problems.BatchConflict("Results exist only after a batch has succeeded: this one is running")}
DECISION = {400: NO_QUERY, 404: problems.UnknownDecision("No decision has that id")}
OUTCOME = {404: problems.UnknownApplication("This caller has scored no application with that id")}
VERSIONS = {400: NO_QUERY, 404: problems.UnknownSource("No model of the source 'simualted' is registered")}
APPROVAL = {
    404: problems.UnknownVersion("Version 9 is not registered for this source; registered: 7, 8"),
    409: problems.NotApprovable(
        "version 8 was refused by out_of_time_auc: name the gate in override, or train another version"
    ),
}
MODEL = {400: NO_QUERY}
_USUAL: Mapping[int, problems.Problem | ProblemDocument] = {
    400: _BODY,
    401: problems.Unauthenticated("The key 3b1e9a20c4d7 is revoked"),
    408: problems.http_problem(
        HTTPStatus.REQUEST_TIMEOUT,
        "The request was not complete within 20 s of its first byte (LOANLAKE_REQUEST_SECONDS)",
    ),
    413: problems.http_problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "The body is larger than the server accepts (LOANLAKE_BODY_BYTES; LOANLAKE_BATCH_BYTES for /v1/batches)",
    ),
    415: problems.UnsupportedMediaType("Send the header Content-Type: application/json: found 'text/plain'"),
    422: problems.NotScorable("interest_to_income: ln(0) has no result"),
    429: problems.TooManyRequests("100 requests a minute are allowed; send the next in 17 s", retry_after_seconds=17),
    503: problems.Unavailable("no model is deployed: `loanlake run` trains and publishes one", retry_after_seconds=10),
}


def problem_example(status: int, *, scope: str, own: Mapping[int, problems.Problem]) -> dict[str, Any]:
    """A document with that status; ``own``: examples of the operation that differ from the usual ones."""
    found = own.get(status) or _USUAL.get(status)
    if status == HTTPStatus.FORBIDDEN:
        detail = f"Requires the scope {scope!r}: the key 3b1e9a20c4d7 has none"
        refused = problems.NotPermitted(detail, scope=scope).document()
        found = msgspec.structs.replace(refused, scope=scope)
    document: dict[str, Any] = msgspec.to_builtins(found.document() if isinstance(found, problems.Problem) else found)
    return document
