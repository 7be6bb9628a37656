"""Load on a loopback server: many keep-alive connections, one request each at a time, from one thread.

It sends bytes prepared once and reads up to Content-Length, so that it does not measure a slow client: about
15,000 requests a second on the machine that serves 3,000.
"""

import http.client
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle


@dataclass(frozen=True)
class Load:
    """What came back within ``seconds``; waits in seconds."""

    waits: list[float]
    seconds: float

    @property
    def per_second(self) -> float:
        """Answered requests a second."""
        return len(self.waits) / self.seconds

    def wait_ms(self, percentile: int) -> float:
        """A percentile of the waiting time of the requests."""
        ordered = sorted(self.waits)
        return 1000 * ordered[min(len(ordered) - 1, len(ordered) * percentile // 100)]


@dataclass
class _Connection:
    socket: socket.socket
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)


def put_load(
    port: int,
    path: str,
    bodies: Sequence[str],
    headers: Mapping[str, str] | None = None,
    *,
    connections: int,
    seconds: float,
) -> Load:
    """Keep ``connections`` busy with POSTs of these bodies, one after another and again from the first.

    Raises RuntimeError at the first answer that is not 200.
    """
    requests = cycle([post(path, body, headers or {}) for body in bodies])
    waits: list[float] = []
    with selectors.DefaultSelector() as selector:
        opened = [_Connection(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(connections)]
        started = time.perf_counter()
        for connection in opened:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            _send(connection, next(requests))
        while (now := time.perf_counter()) - started < seconds:
            for ready, _ in selector.select(timeout=1.0):
                connection = ready.data
                chunk = connection.socket.recv(65_536)
                if not chunk:
                    raise RuntimeError(f"the server closed a connection of {path}")
                connection.received += chunk
                if _is_complete(connection.received, path):
                    waits.append(time.perf_counter() - connection.sent_at)
                    _send(connection, next(requests))
        for connection in opened:
            connection.socket.close()
    return Load(waits, now - started)


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_up(port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def post(path: str, body: str, headers: Mapping[str, str]) -> bytes:
    """A POST of a JSON body, as it goes over the wire."""
    content = body.encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(content)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def _send(connection: _Connection, request: bytes) -> None:
    connection.received.clear()
    connection.sent_at = time.perf_counter()
    connection.socket.sendall(request)


def _is_complete(received: bytearray, path: str) -> bool:
    head, separator, body = bytes(received).partition(b"\r\n\r\n")
    if not separator:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{path} answered {received[:500].decode(errors='replace')}")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return body.endswith(b"0\r\n\r\n")  # chunked
