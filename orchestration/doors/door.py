"""One door: the rules, the sign-in, and the server behind them, as an ASGI application."""

from html import escape
from urllib.parse import parse_qs

import httpx
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestration.doors.rules import PageRule, Refusal, refused_method, refused_origin
from orchestration.doors.sign_in import SESSION_SECONDS, SIGN_IN_PATH, TOKEN_SECONDS, SignIn

HEALTH_PATH = "/-/health"
_NOT_SIGNED_IN = Refusal(401, "Sign in first: run `loanlake sign-in` on the machine, and open the link that it prints.")
#: Added to the server's headers: no other site may frame or embed a page, or guess its type.
_HEADERS = {
    "x-frame-options": "SAMEORIGIN",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class Door:
    """Lets allowed requests to one page pass; ``health``: the server's health path, open to this machine."""

    def __init__(self, name: str, behind: ASGIApp, sign_in: SignIn, rule: PageRule, *, health: str = "/") -> None:
        self._name, self._behind, self._sign_in, self._rule, self._health = name, behind, sign_in, rule, health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or WebSocket."""
        request = HTTPConnection(scope)
        refusal = refused_origin(request)
        if refusal is None and scope["type"] == "http" and scope["path"] == HEALTH_PATH:
            await self._answer_health(scope, receive, send)
            return
        if refusal is None and scope["type"] == "http" and scope["path"] == SIGN_IN_PATH:
            await self._begin_session(request)(scope, receive, send)
            return
        refusal = refusal or self._refused_person(request) or refused_method(request) or self._rule(request)
        if refusal is None:
            await self._behind(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.reason})
        else:
            await self._refuse(request, refusal)(scope, receive, send)

    def _refused_person(self, request: HTTPConnection) -> Refusal | None:
        return None if self._sign_in.knows(request.cookies.get(self._sign_in.cookie, "")) else _NOT_SIGNED_IN

    def _begin_session(self, request: HTTPConnection) -> Response:
        asked = parse_qs(request.scope["query_string"].decode("latin-1"))
        session = self._sign_in.redeem(asked.get("token", [""])[0]) if request.scope["method"] == "GET" else None
        if session is None:
            if self._refused_person(request) is None:
                return RedirectResponse("/", 303)  # the link was opened twice in one browser
            minutes = TOKEN_SECONDS // 60
            return self._refuse(
                request,
                Refusal(401, f"A link works once, within {minutes} minutes: `loanlake sign-in` prints another."),
            )
        response = RedirectResponse("/", 303, {"cache-control": "no-store", "referrer-policy": "no-referrer"})
        # lax: links from other pages and messages must keep the person signed in
        response.set_cookie(self._sign_in.cookie, session, max_age=SESSION_SECONDS, httponly=True, samesite="lax")
        return response

    def _refuse(self, request: HTTPConnection, refusal: Refusal) -> Response:
        headers = {**_HEADERS, "cache-control": "no-store"}
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse(f"{self._name}: {refusal.reason}\n", refusal.status, headers)
        return HTMLResponse(_PAGE.format(name=escape(self._name), text=escape(refusal.reason)), refusal.status, headers)

    async def _answer_health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whether the server is up, without the rest of its answer."""
        transport = httpx.ASGITransport(self._behind)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.get(self._health)
        is_up = answer.status_code < 500
        await PlainTextResponse("up\n" if is_up else "starting\n", 200 if is_up else 503)(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{name} · Loanlake</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 12vh auto; padding: 0 1rem }}</style>
<h1>{name}</h1>
<p>{text}</p>
</html>
"""
