"""The last step of a request: count it, name its answer, and log it if required."""

import logging
import time
from hashlib import blake2b

from litestar.types import HTTPScope
from litestar.types.asgi_types import HTTPResponseStartEvent

from serving.access.caller import Caller
from serving.telemetry.metrics import UNMATCHED, Metrics
from serving.telemetry.request_trace import RequestTrace, begun, trace_of

log = logging.getLogger("loanlake.request")


class RequestLog:
    """Called when an answer begins; also where no route matched.

    A line takes 30 microseconds, five times the rest, and outsiders could fill a disk with refusals: so only errors
    (5xx) and requests of ``slow_seconds`` have one, unless ``logs_all``, and rejections under overload have none. It
    names the route, never the path.
    """

    def __init__(self, metrics: Metrics, *, logs_all: bool, slow_seconds: float):
        self._metrics = metrics
        self._logs_all = logs_all
        self._slow_seconds = slow_seconds

    def __call__(self, message: HTTPResponseStartEvent, scope: HTTPScope) -> None:
        """Do it."""
        route, status, trace = scope.get("path_template") or UNMATCHED, message["status"], trace_of(scope)
        seconds = time.perf_counter() - trace.started if trace else 0.0
        self._metrics.count_request(scope["method"], route, status, seconds if trace else None)
        is_wanted = trace is not None and (status >= 500 or seconds >= self._slow_seconds)
        trace = trace or begun(scope["headers"], time.perf_counter())
        named = [(b"x-request-id", trace.request_id.encode())]
        if trace.traceparent is not None:
            named.append((b"traceparent", trace.traceparent))
        message["headers"] = [*message["headers"], *named]
        if self._logs_all or is_wanted:
            _write(scope, route, status, seconds, trace)


def caller_name(caller: Caller | None) -> str | None:
    """The key's id, or a digest of a token's subject, which may be a person's name."""
    if caller is None:
        return None
    if caller.credential != "token":
        return caller.credential
    return f"token {blake2b(caller.caller_id.encode(), digest_size=6).hexdigest()}"


def _write(scope: HTTPScope, route: str, status: int, seconds: float, trace: RequestTrace) -> None:
    fields = {
        "route": route,
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "caller": caller_name(scope.get("auth")),
        "decision_id": trace.decision_id,
        "request_id": trace.request_id,
        "trace_id": trace.trace_id,
    }
    level = logging.ERROR if status >= 500 else logging.INFO
    log.log(level, "request", extra={name: value for name, value in fields.items() if value is not None})
