"""Reject requests under overload immediately: retrying is better than waiting for late answers."""

import msgspec
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from serving.access.guards import OPEN, SCOPE
from serving.http.problems import Unavailable


class RequestsAtOnce(ASGIMiddleware):
    """Allows ``most`` concurrent requests in a process; health checks are always allowed.

    ``n_under_way`` also counts those that are answered before Litestar routes them.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, most: int):
        self._most = most
        self.n_under_way = 0
        problem = Unavailable(f"{most} requests are in progress, which is the limit of this worker")
        # built once: cheap refusals allow more of them
        self._refusal = msgspec.json.encode(problem.document())
        self._headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(self._refusal)),
            *((name.lower().encode(), value.encode()) for name, value in (problem.headers or {}).items()),
        ]

    @property
    def is_full(self) -> bool:
        """Whether another request would be refused."""
        return self.n_under_way >= self._most

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass on, or answer 503 with the seconds until a retry."""
        if self.is_full and scope["route_handler"].opt.get(SCOPE) != OPEN:
            await send({"type": "http.response.start", "status": 503, "headers": self._headers})
            await send({"type": "http.response.body", "body": self._refusal, "more_body": False})
            return
        self.n_under_way += 1
        try:
            await next_app(scope, receive, send)
        finally:
            self.n_under_way -= 1
