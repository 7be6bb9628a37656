"""A server on a Unix socket, as an ASGI application that streams requests and WebSockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import websockets
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.typing import Subprotocol

#: Headers of one connection (RFC 9110, 7.6.1); `cookie`: the session stays at this door.
_KEPT_BACK = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"cookie"})
_FRAMING = frozenset({b"transfer-encoding"})
#: Never resolves (RFC 6761): a server that ignores its socket ends instead of opening a port.
NO_HOST = "socket.invalid"
_NOT_THERE = (httpx.ConnectError, FileNotFoundError, ConnectionRefusedError)


class Backend:
    """Passes on requests to the server that listens on ``socket``; 503 while it does not listen."""

    def __init__(self, name: str, socket: Path) -> None:
        self._name, self._socket = name, socket
        # bodies are streamed both ways without a time limit: Dagster's queries may take long
        self._transport = httpx.AsyncHTTPTransport(uds=str(socket), limits=httpx.Limits(max_connections=None))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or WebSocket."""
        if scope["type"] == "websocket":
            await self._websocket(WebSocket(scope, receive, send))
            return
        response = await self._http(Request(scope, receive))
        await response(scope, receive, send)

    async def _http(self, request: Request) -> Response:
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        url = httpx.URL(scheme="http", host="localhost", raw_path=_target(request.scope))
        headers = [(name, value) for name, value in request.headers.raw if name not in _KEPT_BACK]
        body = (chunk async for chunk in request.stream() if chunk) if has_body else None
        passed_on = httpx.Request(request.method, url, headers=headers, content=body)
        try:
            answer = await self._transport.handle_async_request(passed_on)
        except _NOT_THERE:
            return self.starting()
        response = StreamingResponse(_chunks(answer), status_code=answer.status_code)
        dropped = _KEPT_BACK | _FRAMING
        response.raw_headers = [(k.lower(), v) for k, v in answer.headers.raw if k.lower() not in dropped]
        return response

    def starting(self) -> Response:
        """A page that reloads itself."""
        text = f"{self._name} is starting. This page looks again every three seconds.\n"
        return Response(text, 503, {"retry-after": "3", "refresh": "3"}, media_type="text/plain")

    async def _websocket(self, websocket: WebSocket) -> None:
        asked = [Subprotocol(name) for name in websocket.scope.get("subprotocols", [])]
        uri = f"ws://localhost{_target(websocket.scope).decode('latin-1')}"
        try:
            connection = await unix_connect(
                str(self._socket), uri, subprotocols=asked or None, max_size=None, compression=None
            )
        except (*_NOT_THERE, OSError, websockets.InvalidHandshake):
            await websocket.close(code=1013, reason=f"{self._name} does not answer")
            return
        async with connection:
            await websocket.accept(subprotocol=connection.subprotocol)
            await _both_ways(websocket, connection)


async def _chunks(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The body as the server encoded it; its end frees the connection."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


async def _both_ways(websocket: WebSocket, connection: ClientConnection) -> None:
    """Pass frames on until either side closes, then close the other."""

    async def up() -> None:
        with suppress(WebSocketDisconnect, websockets.ConnectionClosed):
            while True:
                await connection.send(await websocket.receive_text())

    async def down() -> None:
        with suppress(WebSocketDisconnect, websockets.ConnectionClosed):
            async for frame in connection:
                await (websocket.send_text(frame) if isinstance(frame, str) else websocket.send_bytes(frame))

    tasks = {asyncio.create_task(up()), asyncio.create_task(down())}
    done, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    for task in done:
        task.result()
    with suppress(RuntimeError):  # the browser has closed it
        await websocket.close()


def _target(scope: Scope) -> bytes:
    """Path and query as the client wrote them."""
    raw_path, query = bytes(scope["raw_path"]), bytes(scope["query_string"])
    return raw_path + b"?" + query if query else raw_path
