"""Time and size limits for sending a request and receiving its answer.

uvicorn only limits idle connections: a client that sends a byte now and then holds one forever, and an endless head
grows forever. It does not limit connections either; each needs a descriptor, and without one the process cannot open
files.
"""

import asyncio
import resource
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.http.problems import http_problem
from serving.options import ServingOptions

#: Of request line and headers; an identity provider's token has some thousand.
MOST_HEAD_BYTES = 65_536
#: Descriptors reserved for logs, stores, models, and files of batches.
_DESCRIPTORS_KEPT = 200
_FEWEST_CONNECTIONS = 20
_TOO_MANY = "Too many connections (LOANLAKE_CONNECTIONS). Retry after the time in Retry-After."


class PunctualProtocol(HttpToolsProtocol):
    """uvicorn's protocol with LOANLAKE_REQUEST_SECONDS; slow clients get a problem, then are disconnected."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._seconds = _request_seconds()
        self._sending: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._is_in_head = False
        self._head_bytes = 0

    # uvicorn narrows asyncio's signature in the same way
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the time limit of a first request; refuse a connection beyond the limit."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.write(_answer(HTTPStatus.SERVICE_UNAVAILABLE, _TOO_MANY, "retry-after: 1"))
            transport.close()
            return
        self._begin_sending()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all time limits."""
        self._end_sending()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Start the time limit of the next request, and count the bytes of an incomplete head."""
        self._begin_sending()
        was_in_head = self._is_in_head
        super().data_received(data)
        if was_in_head and self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The headers take more than {MOST_HEAD_BYTES:,} bytes"
                )

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_in_head, self._head_bytes = True, 0
        self._begin_sending()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its body begins."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._end_sending()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client is not reading its answer: start the time limit."""
        super().pause_writing()
        self._taking = self.loop.call_later(self._seconds, self._give_up)

    def resume_writing(self) -> None:
        """The client is reading again: cancel the time limit."""
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's refusal of invalid HTTP, as a problem document."""
        self.transport.write(_answer(HTTPStatus.BAD_REQUEST, msg))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """No log line: any client can request a WebSocket, which is ignored."""

    def _begin_sending(self) -> None:
        if self._sending is None:
            self._sending = self.loop.call_later(self._seconds, self._too_slow)

    def _end_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _too_slow(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT,
            f"The request was not complete within {self._seconds:g} s of its first byte (LOANLAKE_REQUEST_SECONDS)",
        )

    def _give_up(self) -> None:
        if self.cycle is not None:
            self.cycle.disconnected = True  # as if the client had disconnected: nothing more is written
        self.transport.abort()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        # in a body, unless an answer has begun; before a first byte no client waits
        is_waiting = self._is_in_head or (self.cycle is not None and not self.cycle.response_started)
        if is_waiting and not self.transport.is_closing():
            self.transport.write(_answer(status, detail))
        self.transport.close()


@cache
def _request_seconds() -> float:
    return ServingOptions.from_environment().request_seconds


@cache
def most_connections() -> int:
    """Of one worker: the setting, within its descriptors."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(_FEWEST_CONNECTIONS, min(ServingOptions.from_environment().connections, descriptors - _DESCRIPTORS_KEPT))


def _answer(status: HTTPStatus, detail: str, *headers: str) -> bytes:
    body = msgspec.json.encode(http_problem(status, detail))
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        "connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
