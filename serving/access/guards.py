"""Authentication and scopes: guards in front of every handler; without an ``opt``, a handler requires a key."""

import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from serving.access.caller import Caller
from serving.access.keys import PREFIX, KeyRing, KeysUnreadable
from serving.access.tokens import TokenVerifier
from serving.http.problems import NotPermitted, Unauthenticated, Unavailable

#: The handler option for access: a scope, ANY or OPEN.
SCOPE = "scope"
#: The handler option for a path that is about one lender: the one it names, or the default.
BY_LENDER = "by_lender"
#: Any valid key or token.
ANY = "any"
#: No key or token.
OPEN = "open"
_PROBLEM = "loanlake_problem"

Guard = Callable[[Scope, BaseRouteHandler], Awaitable[None]]


class Guards(ASGIMiddleware):
    """Calls each guard; an exception is the answer, and no handler runs.

    A middleware, because Litestar copies the handler (66 attributes) for each of its own guards: these three would add
    50 microseconds to a score. They read the raw scope, since a connection object costs another 5.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, *guards: Guard):
        self._guards = guards

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass on a request that no guard refuses."""
        problem: Exception | None = scope["state"].get(_PROBLEM)
        if problem is not None:
            raise problem
        for guard in self._guards:
            await guard(scope, scope["route_handler"])
        await next_app(scope, receive, send)


def raise_in_guards(scope: Scope, problem: Exception) -> None:
    """Have :class:`Guards` raise what was found before Litestar routed the request; no guard is asked again."""
    scope["state"][_PROBLEM] = problem


class Authentication:
    """Identifies the caller by key or token, except for OPEN handlers."""

    def __init__(self, ring: KeyRing, tokens: TokenVerifier | None = None):
        self._ring = ring
        self._tokens = tokens

    async def __call__(self, scope: Scope, handler: BaseRouteHandler) -> None:
        """Raise Unauthenticated without valid credentials, Unavailable if they cannot be checked; awaits nothing."""
        if handler.opt.get(SCOPE) != OPEN:
            scope["auth"] = self._caller(scope)

    def _caller(self, scope: Scope) -> Caller:
        shown = _shown(scope)
        if not shown:
            raise Unauthenticated(
                "Send a key as 'Authorization: Bearer …'; `loanlake key create NAME` creates one",
                challenge=_challenge(scope),
            )
        return self.caller(shown)

    def caller(self, shown: str) -> Caller:
        """Who holds this key or token; raises Unauthenticated, or Unavailable if it cannot be checked."""
        if self._tokens is not None and not shown.startswith(PREFIX):
            return self._tokens.caller(shown)
        return self._holder(shown)

    def _holder(self, text: str) -> Caller:
        try:
            key = self._ring.find(text)
        except KeysUnreadable as error:
            # keys revoked since the last reading are unknown
            raise Unavailable(f"No key can be checked: {error}", retry_after_seconds=5) from None
        if key is None:
            raise Unauthenticated("Unknown key")
        state = key.state(datetime.now(UTC))
        if state != "active":
            raise Unauthenticated(f"The key {key.key_id} is {state}")
        return key.holder


async def require_scope(scope: Scope, handler: BaseRouteHandler) -> None:
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


class BoundLenders:
    """Keeps a key or token that is bound to lenders away from others; costs unbound ones nothing."""

    def __init__(self, default: Callable[[], str | None]):
        self._default = default

    async def __call__(self, scope: Scope, handler: BaseRouteHandler) -> None:
        """Raise NotPermitted if the path, or the default, is a lender that the caller may not reach."""
        found: Caller | None = scope.get("auth")
        if found is not None and handler.opt.get(BY_LENDER):
            self.require(found, scope["path_params"].get("lender"))

    def require(self, caller: Caller, lender: str | None) -> None:
        """Raise NotPermitted if the caller may not reach this lender, or the default one if None."""
        if caller.lenders is None:
            return
        lender = lender or self._default()
        if lender is not None:
            require_reach(caller, lender)


def require_reach(caller: Caller, lender: str) -> None:
    """Raise NotPermitted if the caller may not reach this lender."""
    if not caller.may_reach(lender):
        bound = ", ".join(sorted(caller.lenders or ())) or "none"
        raise NotPermitted(f"The {caller.credential} is bound to lenders: {bound}; found {lender[:100]!r}")


def caller(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """The authenticated caller; only for handlers that are not OPEN."""
    found: Caller = connection.scope["auth"]
    return found


def _shown(scope: Scope) -> str:
    sent = _header(scope, b"authorization")
    if len(sent) > 1:
        # a proxy may have checked another one than this server would
        raise Unauthenticated(f"Send one Authorization header: found {len(sent)}")
    scheme, _, credentials = (sent[0] if sent else "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic" and scope.get("method") == "GET":
        return _password(credentials)
    return next(iter(_header(scope, b"x-api-key")), "").strip()


def _header(scope: Scope, wanted: bytes) -> list[str]:
    """All values of a header; servers write names in lower case."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


def _password(credentials: str) -> str:
    """The password of a browser prompt is the key; any name will do.

    Only for GET: browsers also add it to requests from other sites' pages.
    """
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2].strip()
    except ValueError:  # neither base64 nor UTF-8
        return ""


def _challenge(scope: Scope) -> str:
    """The challenge: browsers get a password prompt, programs do not."""
    is_page = scope.get("method") == "GET" and any("text/html" in accepted for accepted in _header(scope, b"accept"))
    return 'Basic realm="Loanlake: any name, a key as the password", charset="UTF-8"' if is_page else ""
