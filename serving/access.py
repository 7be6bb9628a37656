"""Who may call what: a guard in front of every handler that names a scope in its ``opt``."""

from datetime import UTC, datetime
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from serving.keys import ApiKey, KeyRing
from serving.problems import NotPermitted, Unauthenticated

#: The handler option that says what a key must be allowed to do; ``any`` for any valid key.
SCOPE = "scope"


class KeyGuard:
    """Lets a request through when its key is active and has the handler's scope."""

    def __init__(self, ring: KeyRing):
        self._ring = ring

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Raise Unauthenticated or NotPermitted; handlers without the option are open to all.

        A coroutine that awaits nothing: Litestar would run a plain function in a thread, which costs each request a
        hop and lets two threads into one key ring.
        """
        scope = handler.opt.get(SCOPE)
        if scope is None:
            return
        key = self._authenticated(connection)
        connection.scope["auth"] = key
        if scope != "any" and scope not in key.scopes:
            raise NotPermitted(
                f"This needs the scope {scope!r}: the key {key.key_id} has {', '.join(sorted(key.scopes))}"
            )

    def _authenticated(self, connection: ASGIConnection[Any, Any, Any, Any]) -> ApiKey:
        text = _presented(connection)
        if not text:
            raise Unauthenticated("Send a key as 'Authorization: Bearer …'; `loanlake key create NAME` makes one")
        key = self._ring.find(text)
        if key is None:
            raise Unauthenticated("This key is not known here")
        state = key.state(datetime.now(UTC))
        if state != "active":
            raise Unauthenticated(f"The key {key.key_id} is {state}")
        return key


def caller(connection: ASGIConnection[Any, Any, Any, Any]) -> ApiKey:
    """The key that the guard let through; only for handlers that name a scope."""
    key: ApiKey = connection.scope["auth"]
    return key


def _presented(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    scheme, _, credentials = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return str(connection.headers.get("x-api-key", "")).strip()
