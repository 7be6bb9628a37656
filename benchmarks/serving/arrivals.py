"""Requests that arrive at a rate, whether or not the server keeps up: a wait counts from when a request was due.

A client that sends its next request only when the last one was answered slows down with the server, and so hides the
waits of those who would have come meanwhile ("coordinated omission").
"""

import re
import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from benchmarks.serving.http_load import post

_ID = re.compile(rb'"decision_id":"([0-9a-f-]{36})"')
_RETRY_AFTER = re.compile(rb"\r\nretry-after: [0-9]+\r\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)
#: For requests that are still running when the last one was sent.
_DRAIN_SECONDS = 30.0


@dataclass
class Arrivals:
    """What became of requests that arrived; waits in seconds, of those answered with 200.

    ``statuses``: 0 counts connections that ended without an answer. ``shed_with_time``: 429 and 503 that said when to
    come again.
    """

    waits: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    decision_ids: list[str] = field(default_factory=list)
    shed_with_time: int = 0

    @property
    def n_shed(self) -> int:
        """Refused for want of room."""
        return self.statuses[429] + self.statuses[503]

    @property
    def n_failed(self) -> int:
        """Neither answered nor shed."""
        return self.statuses.total() - self.statuses[200] - self.n_shed

    def wait_ms(self, percentile: float) -> float:
        """A percentile of the waiting time of the answers."""
        ordered = sorted(self.waits) or [float("nan")]
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percentile / 100))]


@dataclass
class _Connection:
    socket: socket.socket
    due: float = 0.0
    is_open: bool = True
    received: bytearray = field(default_factory=bytearray)


def put_arrivals(
    port: int,
    path: str,
    bodies: Sequence[str],
    headers: Mapping[str, str],
    *,
    per_second: float,
    seconds: float,
    connections: int,
    meanwhile: Callable[[float], None] = lambda _: None,
) -> Arrivals:
    """Send ``per_second`` requests for so long; those that find no idle connection wait, and their wait counts.

    ``meanwhile`` is called some hundred times a second with the seconds since the start.
    """
    requests = cycle([post(path, body, headers) for body in bodies])
    found = Arrivals()
    # in turn: a server closes connections that are unused for seconds
    idle = deque(_connected(port) for _ in range(connections))
    waiting: deque[float] = deque()
    n_due, n_open = 0, 0
    n_all = int(per_second * seconds)
    with selectors.DefaultSelector() as selector:
        started = time.perf_counter()
        while (n_due < n_all or waiting or n_open) and time.perf_counter() - started < seconds + _DRAIN_SECONDS:
            now = time.perf_counter()
            while n_due < n_all and started + n_due / per_second <= now:
                waiting.append(started + n_due / per_second)
                n_due += 1
            while waiting and idle:
                connection = idle.popleft()
                connection.due = waiting.popleft()
                connection.received.clear()
                selector.register(connection.socket, selectors.EVENT_READ, connection)
                n_open += 1
                connection.socket.sendall(next(requests))
            meanwhile(now - started)
            for ready, _ in selector.select(timeout=0.001 if n_due < n_all else 0.01):
                connection = ready.data
                if _is_over(connection, found):
                    selector.unregister(connection.socket)
                    n_open -= 1
                    idle.append(connection if connection.is_open else _connected(port))
        found.statuses[0] += n_open + len(waiting)
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    for connection in idle:
        connection.socket.close()
    return found


def _connected(port: int) -> _Connection:
    return _Connection(socket.create_connection(("127.0.0.1", port), timeout=30))


def _is_over(connection: _Connection, found: Arrivals) -> bool:
    """Whether the answer is whole, or will never be; it is then counted."""
    try:
        chunk = connection.socket.recv(65_536)
    except ConnectionError:
        chunk = b""
    if not chunk:
        found.statuses[0] += 1
        connection.is_open = False
        connection.socket.close()
        return True
    connection.received += chunk
    head, separator, body = bytes(connection.received).partition(b"\r\n\r\n")
    length = _LENGTH.search(head + b"\r\n")
    if not separator or length is None or len(body) < int(length[1]):
        return False
    status = int(head[9:12])
    found.statuses[status] += 1
    if status == 200:
        found.waits.append(time.perf_counter() - connection.due)
        decision_id = _ID.search(body)
        if decision_id is not None:
            found.decision_ids.append(decision_id[1].decode())
    elif status in (429, 503):
        found.shed_with_time += _RETRY_AFTER.search(head + b"\r\n") is not None
    return True
