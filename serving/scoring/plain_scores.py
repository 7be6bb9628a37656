"""The ordinary score request, answered before Litestar routes it.

Ordinary is a small JSON body that arrives whole, with a bearer key or token that may score, without an
``Idempotency-Key``, query parameters or an ``Origin``: nearly every request. Litestar's routing, middleware and hooks
took a fifth of the processor time of a score. The same objects as for other requests identify the caller, count, limit
and log. Requests that are not ordinary go on unchanged, and a problem is raised inside Litestar, which writes them all.
"""

import re
import time
from collections.abc import Callable
from functools import lru_cache

import msgspec
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Receive, Send
from litestar.types.asgi_types import HTTPResponseStartEvent

from serving.access.caller import Caller
from serving.access.guards import Authentication, BoundLenders, raise_in_guards
from serving.http.json_body import decode_body
from serving.http.problems import Problem
from serving.overload.load_shedding import RequestsAtOnce
from serving.overload.rate_limits import RateLimit
from serving.scoring.scoring import ScoringService
from serving.telemetry.request_trace import begin_trace, note_decision

_JSON = "application/json"
_JSON_BYTES = _JSON.encode()
_CONTENT_TYPE = (b"content-type", _JSON_BYTES)
_MOST_BYTES = 16_384
_ENCODER = msgspec.json.Encoder()
_BEARER = b"Bearer "
_SCOPE = "score"
_PATH, _OF_LENDER = "/v1/scores", re.compile(r"/v1/lenders/([A-Za-z0-9_]+)/scores")
#: The template of the path, as Litestar names it, and the lender that it names.
_Route = tuple[str, str | None]
#: Headers that make a request another's to answer.
_NOT_ORDINARY = frozenset(
    (b"idempotency-key", b"x-api-key", b"origin", b"expect", b"transfer-encoding", b"content-encoding")
)
_HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")


class PlainScores:
    """Answers ordinary score requests; ``finish`` completes the headers of an answer, ``most_bytes`` is of a body."""

    def __init__(
        self,
        scoring: ScoringService,
        *,
        authentication: Authentication,
        bound: BoundLenders,
        rate_limit: RateLimit,
        at_once: RequestsAtOnce,
        finish: Callable[[HTTPResponseStartEvent, HTTPScope], None],
        most_bytes: int,
    ):
        self._scoring = scoring
        self._authentication = authentication
        self._bound = bound
        self._rate_limit = rate_limit
        self._at_once = at_once
        self._finish = finish
        self._most_bytes = min(most_bytes, _MOST_BYTES)

    async def handle(self, scope: HTTPScope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Score, or pass on."""
        started = time.perf_counter()
        route = _route(scope["path"]) if scope["method"] == "POST" and not scope["query_string"] else None
        who = self._caller(scope, route[1]) if route is not None else None
        if route is None or who is None or self._at_once.is_full:
            await next_app(scope, receive, send)
            return
        problem: Exception | None = None
        scope.setdefault("state", {})
        self._at_once.n_under_way += 1
        try:
            message: HTTPReceiveMessage = await receive()  # type: ignore[assignment]  # of an HTTP connection
            body = self._whole_body(message)
            if body is not None:
                scope["auth"], scope["path_template"] = who, route[0]  # as Litestar sets them
                begin_trace(scope, started)
                problem = await self._answer(scope, send, body, who, route[1])
        finally:
            self._at_once.n_under_way -= 1
        if body is None:
            await next_app(scope, _beginning_with(message, receive), send)
        elif problem is not None:
            raise_in_guards(scope, problem)
            await next_app(scope, receive, send)

    def _whole_body(self, message: HTTPReceiveMessage) -> bytes | None:
        """The body that a message ends, within the limit; None for what the handler deals with."""
        if message["type"] != "http.request":
            return None
        return None if message["more_body"] or len(message["body"]) > self._most_bytes else message["body"]

    def _caller(self, scope: HTTPScope, lender: str | None) -> Caller | None:
        """Who may score for this lender by an ordinary request's headers; None for Litestar to answer."""
        headers = dict(scope["headers"])
        credentials = headers.get(b"authorization", b"")
        is_ordinary = (
            len(headers) == len(list(scope["headers"]))  # none is there twice
            and _NOT_ORDINARY.isdisjoint(headers)
            and credentials.startswith(_BEARER)
            and headers.get(b"content-type") == _JSON_BYTES
            and _is_ordinary_host(headers.get(b"host", b""))
            and not scope.get("root_path")
        )
        if not is_ordinary:
            return None
        try:
            who = self._authentication.caller(credentials[len(_BEARER) :].decode("latin-1").strip())
            self._bound.require(who, lender)
        except Problem:
            return None  # found again, and answered, by the guards
        return who if who.may(_SCOPE) else None

    async def _answer(
        self, scope: HTTPScope, send: Send, body: bytes, who: Caller, lender: str | None
    ) -> Exception | None:
        """Score and answer, or return the problem."""
        try:
            await self._rate_limit.count(scope, who, lender)
            scored = await self._scoring.score(lender, decode_body(body, _JSON), who.channel("online"))
        except Exception as error:  # whatever it is, Litestar's handlers answer it
            return error
        note_decision(scope, scored.decision_id)
        answer = _ENCODER.encode(scored)
        headers = [_CONTENT_TYPE, (b"content-length", b"%d" % len(answer))]
        start: HTTPResponseStartEvent = {"type": "http.response.start", "status": 200, "headers": headers}
        self._finish(start, scope)
        await send(start)
        await send({"type": "http.response.body", "body": answer, "more_body": False})
        return None


@lru_cache(maxsize=256)
def _route(path: str) -> _Route | None:
    """The route of a path that scores one application; None for any other, and for other ways to write these."""
    if path == _PATH:
        return _PATH, None
    named = _OF_LENDER.fullmatch(path)
    return ("/v1/lenders/{lender}/scores", named[1]) if named else None


@lru_cache(maxsize=256)
def _is_ordinary_host(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None


def _beginning_with(message: HTTPReceiveMessage, receive: Receive) -> Receive:
    """The connection's messages, with one already received put first."""
    taken = [message]

    async def again() -> HTTPReceiveMessage:
        return taken.pop() if taken else await receive()  # type: ignore[return-value]  # of an HTTP connection

    return again
