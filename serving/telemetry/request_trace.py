"""Ids of a request, for its caller and its log lines.

``X-Request-ID`` is the caller's if well formed, else generated. ``traceparent`` (W3C Trace Context, level 1) is
returned unchanged: this API calls no other service.
"""

import os
import re
import time
from collections.abc import Iterable

import msgspec
from litestar.datastructures import ResponseHeader
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from serving.telemetry.logs import request_fields

#: For the description of every answer.
REQUEST_ID_HEADER = ResponseHeader(
    name="X-Request-ID",
    description="Id of this request in the server's log: the one sent, if it has 16 to 64 letters, digits, - and _",
    documentation_only=True,
)
_STATE = "loanlake_trace"
# shorter ids are not unique enough, and may be a person's number
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{16,64}")
_TRACEPARENT = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"(?P<later>-[!-~]{0,200})?"
)


class RequestTrace(msgspec.Struct):
    """``started``: by ``time.perf_counter``. ``decision_id``: once there is one decision that the answer is about."""

    request_id: str
    started: float
    traceparent: bytes | None = None
    trace_id: str | None = None
    decision_id: str | None = None


class Traced(ASGIMiddleware):
    """Begins the trace of each request that has a route and none yet."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on with its trace."""
        if trace_of(scope) is None:
            begin_trace(scope, time.perf_counter())
        await next_app(scope, receive, send)


def begin_trace(scope: Scope, started: float) -> RequestTrace:
    """Begin the trace of a request that arrived at ``started``, by ``time.perf_counter``."""
    trace: RequestTrace = begun(scope["headers"], started)
    scope["state"][_STATE] = trace
    fields = {"request_id": trace.request_id}
    if trace.trace_id is not None:
        fields["trace_id"] = trace.trace_id
    # never reset: an error's line comes later, and each request has its own context
    request_fields.set(fields)
    return trace


def trace_of(scope: Scope) -> RequestTrace | None:
    """The trace of a request; None if none was begun: no route matched, or it was rejected under overload."""
    return scope["state"].get(_STATE)


def note_decision(scope: Scope, decision_id: str) -> None:
    """Set the decision that a request is about."""
    trace = trace_of(scope)
    if trace is not None:
        trace.decision_id = decision_id


def begun(headers: Iterable[tuple[bytes, bytes]], started: float) -> RequestTrace:
    """The trace of a request with these headers."""
    request_id, parents = None, []
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value.decode()
        elif name == b"traceparent":
            parents.append(value)
    trace = RequestTrace(request_id or os.urandom(16).hex(), started)
    # of two, the caller's is unknown
    found = _TRACEPARENT.fullmatch(parents[0]) if len(parents) == 1 else None
    if found and not (found["version"] == b"00" and found["later"]):
        trace.traceparent, trace.trace_id = parents[0], found["trace"].decode()
    return trace
