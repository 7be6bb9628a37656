"""The ordinary score request, answered without Litestar's routing to the handler.

Ordinary is a small JSON body that arrived whole, without an ``Idempotency-Key`` or query parameters: nearly every
request. Request and response objects, parameters and dependencies cost 55 of 250 microseconds; this costs 10. Guards,
errors and hooks are Litestar's; other requests go on to the handler, which uses the same service.
"""

from collections.abc import Collection, Iterable

import msgspec
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send

from serving.access.caller import Caller
from serving.http.json_body import decode_body
from serving.scoring.scoring import ScoringService
from serving.telemetry.request_trace import note_decision

_JSON = "application/json"
_MOST_BYTES = 16_384
_ENCODER = msgspec.json.Encoder()


class PlainScores(ASGIMiddleware):
    """In front of the handler of ``paths``, which may name a ``lender``; ``most_bytes``: maximum body accepted."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, scoring: ScoringService, *, paths: Collection[str], most_bytes: int):
        self._scoring = scoring
        self._paths = frozenset(paths)
        self._most_bytes = min(most_bytes, _MOST_BYTES)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Score, or pass on."""
        # Litestar answers OPTIONS by itself, on another route of the same path
        is_post = scope["path_template"] in self._paths and scope.get("method") == "POST"
        if not is_post or scope["query_string"] or not _is_plain(scope["headers"]):
            await next_app(scope, receive, send)
            return
        message: HTTPReceiveMessage = await receive()  # type: ignore[assignment]  # of an HTTP connection
        if message["type"] != "http.request" or message["more_body"] or len(message["body"]) > self._most_bytes:
            await next_app(scope, _beginning_with(message, receive), send)
            return
        who: Caller = scope["auth"]
        lender = scope["path_params"].get("lender")
        scored = await self._scoring.score(lender, decode_body(message["body"], _JSON), who.channel("online"))
        note_decision(scope, scored.decision_id)
        answer = _ENCODER.encode(scored)
        headers = [(b"content-type", _JSON.encode()), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer, "more_body": False})


def _is_plain(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    is_json = False
    for name, value in headers:
        if name == b"content-type":
            is_json = value == _JSON.encode()
        elif name == b"idempotency-key":
            return False
    return is_json


def _beginning_with(message: HTTPReceiveMessage, receive: Receive) -> Receive:
    """The connection's messages, with one already received put first."""
    taken = [message]

    async def again() -> HTTPReceiveMessage:
        return taken.pop() if taken else await receive()  # type: ignore[return-value]  # of an HTTP connection

    return again
