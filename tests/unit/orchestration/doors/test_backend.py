"""Requests, streams and WebSockets pass to a real server on a Unix socket as they came."""

import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from orchestration.doors.backend import Backend


async def echo(request: Request) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "target": request.scope["raw_path"].decode() + "?" + request.scope["query_string"].decode(),
            "headers": dict(request.headers),
            "body": (await request.body()).decode(),
        },
        status_code=201,
    )


async def large(_request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65_536

    return StreamingResponse(chunks(), headers={"content-encoding": "identity"})


async def twice(websocket: WebSocket) -> None:
    await websocket.accept(subprotocol="graphql-ws")
    try:
        while True:
            await websocket.send_text(2 * await websocket.receive_text())
    except WebSocketDisconnect:
        pass


async def closing(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_bytes(b"last")
    await websocket.close()


def client_of(backend: Backend) -> TestClient:
    """One event loop for all requests, as in the process of the doors: connections outlive requests."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (Starlette() if scope["type"] == "lifespan" else backend)(scope, receive, send)

    return TestClient(app, base_url="http://127.0.0.1:3000")


@pytest.fixture(scope="module")
def browser() -> Iterator[TestClient]:
    """A client of a backend whose server runs in a thread; in a folder of its own, for names of sockets are short."""
    routes = [
        *(Route("/large", large), WebSocketRoute("/twice", twice), WebSocketRoute("/closing", closing)),
        Route("/{path:path}", echo, methods=["GET", "POST"]),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server"
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), uds=str(path), log_level="error"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        with client_of(Backend("Tool", path)) as client:
            yield client
        server.should_exit = True
        thread.join()


def test_method_address_body_and_status_are_passed_on(browser: TestClient) -> None:
    answer = browser.post("/a%2Fb/c?x=%20&y=1&y=2", json={"query": "{version}"})

    assert answer.status_code == 201
    assert answer.json()["method"] == "POST"
    assert answer.json()["target"] == "/a%2Fb/c?x=%20&y=1&y=2"
    assert answer.json()["body"] == '{"query":"{version}"}'


def test_a_body_of_unknown_length_is_passed_on(browser: TestClient) -> None:
    answer = browser.post("/stream", content=(part for part in [b"one ", b"two"]))

    assert answer.json()["body"] == "one two"


def test_the_session_stays_at_the_door_and_the_host_is_passed_on(browser: TestClient) -> None:
    answer = browser.get("/", headers={"Cookie": "loanlake_1=secret", "Accept-Encoding": "br", "X-Own": "1"})

    headers = answer.json()["headers"]
    assert "cookie" not in headers
    assert (headers["host"], headers["accept-encoding"], headers["x-own"]) == ("127.0.0.1:3000", "br", "1")


def test_a_large_answer_is_passed_on_whole(browser: TestClient) -> None:
    answer = browser.get("/large")

    assert len(answer.content) == 64 * 65_536
    assert answer.headers["content-encoding"] == "identity"


def test_frames_pass_both_ways_with_the_subprotocol(browser: TestClient) -> None:
    with browser.websocket_connect("/twice", subprotocols=["graphql-ws"]) as opened:
        opened.send_text("ab")
        opened.send_text("c")

        assert (opened.accepted_subprotocol, opened.receive_text(), opened.receive_text()) == (
            "graphql-ws",
            "abab",
            "cc",
        )


def test_a_websocket_that_the_server_closes_is_closed(browser: TestClient) -> None:
    with browser.websocket_connect("/closing") as opened:
        assert opened.receive_bytes() == b"last"
        with pytest.raises(WebSocketDisconnect):
            opened.receive_text()


def test_a_server_that_is_not_there_yet_is_said_to_be_starting(tmp_path: Path) -> None:
    with client_of(Backend("Tool", tmp_path / "none")) as client:
        answer = client.get("/")

        assert (answer.status_code, answer.headers["refresh"]) == (503, "3")
        assert answer.text.startswith("Tool is starting")
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/twice") as opened:
            opened.receive_text()
