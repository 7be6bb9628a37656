"""Authentication and scopes: guards in front of every handler.

A handler is closed unless its ``opt`` opens it: a forgotten one requires a key.
"""

import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import ASGIMiddleware

from serving.access.caller import Caller
from serving.access.keys import PREFIX, KeyRing, KeysUnreadable
from serving.access.tokens import TokenVerifier
from serving.http.problems import NotPermitted, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

#: The handler option that says what a caller must be allowed to do: a scope, ANY or OPEN.
SCOPE = "scope"
#: Any valid key or token will do.
ANY = "any"
#: Nothing need be shown.
OPEN = "open"

Guard = Callable[["Scope", BaseRouteHandler], Awaitable[None]]


class Guards(ASGIMiddleware):
    """Asks each guard in turn; what one raises is the answer, and no handler runs.

    A middleware, because Litestar copies the handler for every guard that it asks itself, 66 attributes each time:
    asked so, these three cost a score some 50 microseconds more. They read the scope as the server made it, because a
    connection object and its headers cost another 5.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, *guards: Guard):
        self._guards = guards

    async def handle(self, scope: "Scope", receive: "Receive", send: "Send", next_app: "ASGIApp") -> None:
        """Pass on a request that no guard refuses."""
        for guard in self._guards:
            await guard(scope, scope["route_handler"])
        await next_app(scope, receive, send)


class Authentication:
    """Finds out who calls, by key or by token; handlers that are OPEN go without."""

    def __init__(self, ring: KeyRing, tokens: TokenVerifier | None = None):
        self._ring = ring
        self._tokens = tokens

    async def __call__(self, scope: "Scope", handler: BaseRouteHandler) -> None:
        """Raise Unauthenticated for nothing valid, Unavailable where it cannot be checked; awaits nothing."""
        if handler.opt.get(SCOPE) != OPEN:
            scope["auth"] = self._caller(scope)

    def _caller(self, scope: "Scope") -> Caller:
        shown = _shown(scope)
        if not shown:
            raise Unauthenticated(
                "Send a key as 'Authorization: Bearer …'; `loanlake key create NAME` creates one",
                challenge=_challenge(scope),
            )
        if self._tokens is not None and not shown.startswith(PREFIX):
            return self._tokens.caller(shown)
        return self._holder(shown)

    def _holder(self, text: str) -> Caller:
        try:
            key = self._ring.find(text)
        except KeysUnreadable as error:
            # who was revoked since the last reading is not known
            raise Unavailable(f"No key can be checked: {error}", retry_after_seconds=5) from None
        if key is None:
            raise Unauthenticated("Unknown key")
        state = key.state(datetime.now(UTC))
        if state != "active":
            raise Unauthenticated(f"The key {key.key_id} is {state}")
        return Caller(key.caller_id, key.scopes, f"key {key.key_id}", key.name, key.rate_limit)


async def require_scope(scope: "Scope", handler: BaseRouteHandler) -> None:
    """Raise NotPermitted if the caller lacks the handler's scope."""
    needed = handler.opt.get(SCOPE, ANY)
    if needed in (ANY, OPEN):
        return
    found: Caller = scope["auth"]
    if not found.may(needed):
        raise NotPermitted(
            f"Requires the scope {needed!r}: the {found.credential} has {', '.join(sorted(found.scopes)) or 'none'}",
            scope=needed,
        )


def caller(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Who was let through; only for handlers that are not OPEN."""
    found: Caller = connection.scope["auth"]
    return found


def _shown(scope: "Scope") -> str:
    sent = _header(scope, b"authorization")
    if len(sent) > 1:
        # a proxy may have checked the one and this server the other
        raise Unauthenticated(f"Send one Authorization header: found {len(sent)}")
    scheme, _, credentials = (sent[0] if sent else "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic" and scope.get("method") == "GET":
        return _password(credentials)
    return next(iter(_header(scope, b"x-api-key")), "").strip()


def _header(scope: "Scope", wanted: bytes) -> list[str]:
    """All values of a header; servers write names in lower case."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


def _password(credentials: str) -> str:
    """What a browser sends after asking for name and password: the key is the password, any name will do.

    For GET only: a browser adds it to the requests of other sites' pages too, which must not decide anything.
    """
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2].strip()
    except ValueError:  # neither base64 nor UTF-8
        return ""


def _challenge(scope: "Scope") -> str:
    """A browser gets a password prompt; a program does not."""
    is_page = scope.get("method") == "GET" and any("text/html" in accepted for accepted in _header(scope, b"accept"))
    return 'Basic realm="Loanlake: any name, a key as the password", charset="UTF-8"' if is_page else ""
