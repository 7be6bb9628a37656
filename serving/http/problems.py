"""Every API error is an RFC 9457 problem document (``application/problem+json``); a traceback is never sent."""

import logging
import re
import traceback
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException
from litestar.plugins.problem_details import ProblemDetailsConfig, ProblemDetailsException, ProblemDetailsPlugin

from ml.decisions.problems import INVALID, NOT_SCORABLE, STALE_HISTORY, TYPE, ProblemDocument, ProblemKind, Violation
from serving.http.public_text import without_paths

log = logging.getLogger("loanlake.serving")
_EXPECTED = re.compile(r"Expected `(?P<kind>\w+)(?: \| null)?`(?P<bound>[^,]*)")
_KINDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}


class Problem(ProblemDetailsException):
    """Base of the API's own problems; each subclass is of one kind."""

    kind: ClassVar[ProblemKind]
    violations: tuple[Violation, ...] = ()
    #: Seconds after which a repeated request may succeed; None for a problem that time does not solve.
    usual_wait: ClassVar[int | None] = None

    def __init_subclass__(cls, *, kind: ProblemKind) -> None:
        super().__init_subclass__()
        cls.kind, cls.status_code = kind, kind.status

    def __init__(
        self,
        detail: str,
        *,
        retry_after_seconds: int | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ):
        kind, wait = self.kind, self.usual_wait if retry_after_seconds is None else retry_after_seconds
        if wait is not None:
            headers = {"Retry-After": str(wait)}
        super().__init__(
            detail=detail, status_code=kind.status, headers=headers, extra=extra, type_=kind.type, title=kind.heading
        )

    def document(self) -> ProblemDocument:
        """The problem as a row of a batch's answer."""
        return self.kind.document(self.detail, self.violations)


class InvalidRequest(Problem, kind=INVALID):
    """The body breaks its schema; all violations are listed."""

    def __init__(self, detail: str, violations: tuple[Violation, ...] = ()):
        super().__init__(detail, extra={"errors": violations} if violations else None)
        self.violations = violations


def unknown_cursor(cursor: str) -> InvalidRequest:
    """A cursor that no answer contained."""
    rule = "must be the next_cursor of an answer"
    return InvalidRequest("The cursor cannot be read", (Violation(field="cursor", rule=rule, found=cursor[:100]),))


class Unauthenticated(Problem, kind=ProblemKind(401, "unauthenticated", "A valid API key or token is required")):
    """No key or token, or one that is unknown, revoked or expired."""

    def __init__(self, detail: str, *, challenge: str = ""):
        super().__init__(detail, headers={"WWW-Authenticate": challenge or 'Bearer realm="loanlake"'})


class NotPermitted(Problem, kind=ProblemKind(403, "not-permitted", "Not permitted")):
    """The caller lacks the scope, or may not reach the lender (then without ``scope``)."""

    def __init__(self, detail: str, *, scope: str | None = None):
        needed = f', scope="{scope}"' if scope is not None else ""
        challenge = f'Bearer realm="loanlake", error="insufficient_scope"{needed}'
        extra = {"scope": scope} if scope is not None else None
        super().__init__(detail, headers={"WWW-Authenticate": challenge}, extra=extra)


class UnknownDecision(Problem, kind=ProblemKind(404, "unknown-decision", "Decision not found")):
    """No decision has that id."""


class UnknownApplication(Problem, kind=ProblemKind(404, "unknown-application", "Application not found")):
    """The caller scored no application with that id, and may see only their own."""


class LenderNeeded(Problem, kind=ProblemKind(400, "lender-needed", "The path must name a lender")):
    """Several lenders are served, none of them is the default, and the path names none."""


class UnknownLender(Problem, kind=ProblemKind(404, "unknown-lender", "Lender not found")):
    """No model of that lender is registered or served."""


class UnknownVersion(Problem, kind=ProblemKind(404, "unknown-version", "Model version not found")):
    """No such version is registered."""


class UnknownBatch(Problem, kind=ProblemKind(404, "unknown-batch", "Batch not found")):
    """No batch of this caller has that id."""


class NotAcceptable(Problem, kind=ProblemKind(406, "not-acceptable", "Unsupported format of results")):
    """Results do not exist in the requested format."""


class NotApprovable(Problem, kind=ProblemKind(409, "not-approvable", "This version cannot be approved")):
    """A gate refused the version, or it was archived."""


class BatchConflict(Problem, kind=ProblemKind(409, "batch-state", "The state of the batch does not allow this")):
    """The batch's state does not allow the operation."""


class UnsupportedMediaType(Problem, kind=ProblemKind(415, "unsupported-media-type", "Unsupported media type")):
    """The body's media type is not accepted, or missing."""


class NotScorable(Problem, kind=NOT_SCORABLE):
    """Valid values for which a feature's formula has no result."""


class KeyReused(
    Problem, kind=ProblemKind(422, "idempotency-key-reused", "This Idempotency-Key belongs to another request")
):
    """An Idempotency-Key sent before, with another request."""


class TooManyRequests(Problem, kind=ProblemKind(429, "too-many-requests", "Too many requests")):
    """The caller has reached their limit for this minute."""


class StaleHistory(Problem, kind=STALE_HISTORY):
    """History is older than the lender allows; a refresh of the online store fixes it."""

    usual_wait = 60


class Unavailable(Problem, kind=ProblemKind(503, "unavailable", "Temporarily unavailable")):
    """No model is deployed, or history or the decision log cannot be reached; the caller should retry."""

    usual_wait = 1


def plugin(home: Path) -> ProblemDetailsPlugin:
    """Litestar's plugin. Its own errors and unexpected ones become problems too; none contains a path of the
    file system.
    """

    def answer(request: Request[Any, Any, Any], problem: ProblemDetailsException) -> Response[Any]:
        if problem.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            whole = problem.detail
            problem.detail = without_paths(problem.detail, home)
            if problem.detail != whole:
                log.error("problem", extra={"reason": whole})
        return problem.to_response(request)

    return ProblemDetailsPlugin(
        ProblemDetailsConfig(
            exception_handler=answer,
            exception_to_problem_detail_map={HTTPException: _from_http, Exception: _from_unexpected},
        )
    )


def _from_http(error: HTTPException) -> ProblemDetailsException:
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _from_unexpected(error)
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    detail = error.detail
    if isinstance(error, ValidationException):
        return InvalidRequest("The path or query is not valid", _violations(error.extra))
    if isinstance(error, MethodNotAllowedException):
        detail = f"This path does not accept that method{_allowed(headers)}"
    elif status is HTTPStatus.NOT_FOUND:
        detail = "No such path; /schema lists all paths"
    elif status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        detail = (
            "The body is larger than the server accepts (LOANLAKE_BODY_BYTES; LOANLAKE_BATCH_BYTES for /v1/batches)"
        )
    document = http_problem(status, detail)
    return ProblemDetailsException(
        detail=detail, status_code=status.value, headers=headers, type_=document.type, title=document.title
    )


def http_problem(status: HTTPStatus, detail: str) -> ProblemDocument:
    """The problem for a status without a class here, named by HTTP's phrase."""
    return ProblemDocument(TYPE + status.phrase.lower().replace(" ", "-"), status.phrase, status.value, detail)


def _violations(extra: Any) -> tuple[Violation, ...]:
    listed = extra if isinstance(extra, list) else []
    return tuple(
        Violation(field=str(each.get("key", "")), rule=_rule_of(str(each.get("message", ""))))
        for each in listed
        if isinstance(each, dict)
    )


def _rule_of(message: str) -> str:
    """A parameter's rule in words: msgspec names Python's types, where a caller asks what to write."""
    wanted = _EXPECTED.match(message)
    if wanted is None or wanted["kind"] not in _KINDS:
        return message
    bound = wanted["bound"].replace(">=", "of at least").replace("<=", "of at most")
    return f"must be {_KINDS[wanted['kind']]}{bound}"


def _from_unexpected(error: Exception) -> ProblemDetailsException:
    incident = uuid.uuid4().hex
    # frames and type only: the message of an unexpected error may contain an applicant's data
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("unexpected error", extra={"incident": incident, "error": type(error).__name__, "frames": frames[-12:]})
    return ProblemDetailsException(
        detail="An unexpected error was logged under this incident; no decision was made",
        status_code=500,
        type_=TYPE + "internal",
        title="The request could not be answered",
        extra={"incident": incident},
    )


def _allowed(headers: dict[str, str]) -> str:
    allowed = next((value for name, value in headers.items() if name.lower() == "allow"), "")
    return f": use {allowed}" if allowed else ""
