"""A running server and those who mean it no good: too fast, too slow, too large, malformed, or with another's token."""

import base64
import http.client
import json
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path

import jwt
import pytest

from serving.access.keys import KeyStore
from tests.serving_home import APPLICATION, ServingHome, furnish
from tests.serving_process import Server, running
from warehouse.settings import Settings

#: What a client has for a request here.
SECONDS = 2.0
#: Of each of the two workers.
CONNECTIONS = 40
SECRET = b"a secret that is shared with the identity provider"
BODY = json.dumps(APPLICATION).encode()


@pytest.fixture(scope="module")
def serving_home(tmp_path_factory: pytest.TempPathFactory) -> ServingHome:
    """One for the module: its tests leave it as it is."""
    home = tmp_path_factory.mktemp("abuse") / "home"
    return furnish(Settings.from_environment({"LOANLAKE_HOME": str(home)}))


@pytest.fixture(scope="module")
def log(serving_home: ServingHome) -> Path:
    """What the server prints."""
    return serving_home.settings.home / "server.log"


@pytest.fixture(scope="module")
def server(serving_home: ServingHome, log: Path) -> Iterator[Server]:
    """Two workers that take tokens and lose their patience early."""
    secret = serving_home.settings.home / "secret"
    secret.write_bytes(SECRET)
    environment = {
        "LOANLAKE_REQUEST_SECONDS": str(SECONDS),
        "LOANLAKE_BODY_BYTES": "10000",
        "LOANLAKE_CONNECTIONS": str(CONNECTIONS),
        "LOANLAKE_JWT_ISSUER": "https://id.example",
        "LOANLAKE_JWT_AUDIENCE": "loanlake",
        "LOANLAKE_JWT_SECRET_FILE": str(secret),
    }
    with running(serving_home, log, workers=2, environment=environment) as server:
        yield server


def request(serving_home: ServingHome, *headers: str, length: int | None = len(BODY)) -> bytes:
    """The head of a score request."""
    lines = ["POST /v1/scores HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {serving_home.key}", *headers]
    lines += [f"Content-Length: {length}"] if length is not None else []
    return "\r\n".join([*lines, "", ""]).encode()


def answer(server: Server, sent: Iterable[bytes], *, pause: float = 0.0, deaf: float = 0.0) -> tuple[bytes, float]:
    """All that comes back until the server ends the connection, and how long that took.

    After each part it listens for ``pause`` seconds, so that an answer is heard before more is sent; with all parts
    sent it listens to nothing for ``deaf`` seconds, with little room for what comes meanwhile.
    """
    connection = socket.socket()
    if deaf:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", server.port))
    started = time.monotonic()
    received = b""
    try:
        for part in sent:
            connection.sendall(part)
            if pause and select.select([connection], [], [], pause)[0]:
                break
        time.sleep(deaf)
        while chunk := connection.recv(1 << 20):
            received += chunk
    except (ConnectionResetError, BrokenPipeError):
        pass
    finally:
        connection.close()
    return received, time.monotonic() - started


def drip(head: bytes, byte: bytes) -> Iterator[bytes]:
    """A head, and then a byte at a time without an end."""
    return chain([head], repeat(byte))


def test_a_limit_is_one_over_all_workers(server: Server, serving_home: ServingHome) -> None:
    key = KeyStore(serving_home.settings.keys).create("hurried", ["score"], rate_limit=50)

    def call(_: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("GET", "/v1/model", headers={"X-API-Key": key})  # on one of its own, for any worker to take
        status = connection.getresponse().status
        connection.close()
        return status

    with ThreadPoolExecutor(8) as threads:
        statuses = Counter(threads.map(call, range(120)))

    assert statuses == {200: 50, 429: 70}


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_dripping_request_is_told_and_cut_off(server: Server, serving_home: ServingHome, part: str) -> None:
    head = request(serving_home) if part == "body" else request(serving_home)[:-2] + b"X-Long: "

    with ThreadPoolExecutor(1) as thread:
        dripping = thread.submit(lambda: answer(server, _bounded(drip(head, b" ")), pause=0.1))
        meanwhile = server.request("POST", "/v1/scores", APPLICATION, serving_home.headers)

    received, seconds = dripping.result()
    assert received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert json.loads(received.partition(b"\r\n\r\n")[2])["status"] == 408
    assert SECONDS * 0.9 < seconds < SECONDS + 5
    assert isinstance(meanwhile, dict)
    assert meanwhile["status"] == "scored"


@pytest.mark.parametrize("byte", [b"", b"\r\n"], ids=["nothing", "empty lines"])
def test_a_connection_without_a_request_is_cut_off(server: Server, byte: bytes) -> None:
    received, seconds = answer(server, _bounded(repeat(byte)), pause=0.1)

    assert received == b""
    assert seconds < SECONDS + 5


def test_an_answer_that_is_not_taken_is_given_up(server: Server, serving_home: ServingHome) -> None:
    """Answers nobody reads would fill the server's memory, a connection at a time."""
    script = b"GET /schema/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n\r\n"

    received, _ = answer(server, [script % serving_home.key.encode() * 8], deaf=SECONDS + 1)

    assert 0 < received.count(b"HTTP/1.1 200 OK") < 8


def test_a_head_without_an_end_is_refused(server: Server, serving_home: ServingHome) -> None:
    head = request(serving_home)[:-2] + b"X-Long: "

    received, _ = answer(server, [head, *[b"x" * 8192] * 10], pause=0.02)

    assert received.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "in chunks"])
def test_a_body_beyond_the_limit_is_refused(server: Server, serving_home: ServingHome, declared: bool) -> None:
    if declared:
        parts = [request(serving_home, "Connection: close", length=20_000), b" " * 20_000]
    else:
        chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
        head = request(serving_home, "Connection: close", "Transfer-Encoding: chunked", length=None)
        parts = [head, chunk * 3, b"0\r\n\r\n"]

    received, _ = answer(server, parts)

    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in received


MALFORMED = {
    "two lengths": (f"Content-Length: {len(BODY) - 1}",),
    "a length and chunks": ("Transfer-Encoding: chunked",),
    "a name with a space": ("X-Name : x",),
    "a carriage return in a value": ("X-Name: a\rX-Injected: b",),
    "a zero byte in a value": ("X-Name: a\0b",),
    "a line that goes on": ("X-Name: a\r\n b",),
    "no colon": ("X-Name",),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_headers_that_two_servers_may_read_in_two_ways_are_refused(
    server: Server, serving_home: ServingHome, name: str
) -> None:
    """Behind a proxy, each is a way to slip a second request or another's header past it."""
    received, _ = answer(server, [request(serving_home, *MALFORMED[name], "Connection: close") + BODY])

    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in received


def test_two_authorizations_are_one_too_many(server: Server, serving_home: ServingHome) -> None:
    """A proxy may have checked the one, and this server would go by the other."""
    received, _ = answer(
        server, [request(serving_home, f"Authorization: Bearer {serving_home.key}", "Connection: close") + BODY]
    )

    assert received.startswith(b"HTTP/1.1 401 ")
    assert b"found 2" in received


def test_no_key_or_token_gets_into_the_log(server: Server, serving_home: ServingHome, log: Path) -> None:
    """Neither one that was let in nor one that was refused: a mistyped key is nearly a key."""
    claims = {"iss": "https://id.example", "aud": "loanlake", "sub": "officer-4711", "scope": "score"}
    good = jwt.encode(claims | {"exp": time.time() + 600}, SECRET)
    expired = jwt.encode(claims | {"exp": time.time() - 600}, SECRET)
    mistyped = serving_home.key[:-1] + "x"
    shown = [serving_home.key, mistyped, good, expired, good[:-4]]
    for credential in shown:
        password = base64.b64encode(f"name:{credential}".encode()).decode()
        for headers in (
            {"Authorization": f"Bearer {credential}"},
            {"X-API-Key": credential},
            {"Authorization": f"Basic {password}"},
        ):
            server.request("GET", "/v1/model", headers=headers)
        answer(server, [f"GET /v1/model HTTP/1.1\r\nX-API-Key: {credential}\rX\r\n\r\n".encode()])

    printed = log.read_text()

    secrets = [part for credential in shown for part in (credential, credential[-20:], credential.split(".")[-1])]
    assert printed
    assert not [secret for secret in (*secrets, SECRET.decode(), "officer-4711") if secret in printed]
    assert all(json.loads(line)["event"] != "unexpected error" for line in printed.splitlines())


def _bounded(parts: Iterator[bytes]) -> Iterator[bytes]:
    """For as long as a server that lost its patience could still be sent to."""
    deadline = time.monotonic() + SECONDS + 10
    while time.monotonic() < deadline:
        yield next(parts)


def test_connections_beyond_the_limit_are_refused_and_the_others_answered(server: Server) -> None:
    """Each takes a descriptor: without a limit a flood leaves none to open a file with."""
    flood = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2 * CONNECTIONS + 30)]
    try:
        time.sleep(0.3)
        refused = [connection for connection in flood if select.select([connection], [], [], 0)[0]]
        first = refused[0].recv(4096)
    finally:
        for connection in flood:
            connection.close()

    assert len(refused) >= 30
    assert first.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"LOANLAKE_CONNECTIONS" in first
    assert _until(lambda: server.request("GET", "/healthz") == {"status": "alive"})


def test_whoever_asks_for_a_websocket_writes_no_line_into_the_log(server: Server, log: Path) -> None:
    upgrade = (
        b"GET /v1/model HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n"
    )
    before = log.read_text()

    received = [answer(server, [upgrade])[0] for _ in range(5)]

    assert {text.split(b"\r\n")[0] for text in received} == {b"HTTP/1.1 401 Unauthorized"}
    assert log.read_text() == before


def test_what_is_not_http_writes_a_few_lines_a_minute(server: Server, log: Path) -> None:
    before = log.read_text().count("Invalid HTTP request received")

    for _ in range(60):
        answer(server, [b"\x16\x03\x01 nothing that HTTP has\r\n\r\n"])

    n_lines = log.read_text().count("Invalid HTTP request received") - before
    assert 1 <= n_lines <= 2 * 10


def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if condition():
                return True
        except OSError:
            pass
        time.sleep(0.05)
    return False
