"""`loanlake serve` as a process of its own."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.serving_home import ServingHome

READY_SECONDS = 60.0


@dataclass
class Server:
    """A running ``loanlake serve``."""

    process: subprocess.Popen[bytes]
    port: int
    seconds_to_ready: float

    def request(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> object:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"} | (headers or {}))
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer


@contextmanager
def running(
    serving_home: ServingHome, log: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server that is ready, stopped afterwards; ``log`` gets what it prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("loanlake")), "serve", "--port", str(port), *arguments]
    variables = os.environ | {"LOANLAKE_HOME": str(serving_home.settings.home)} | dict(environment or {})
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=variables, stderr=output, stdout=output)
    try:
        _wait_until_ready(process, port, log)
        yield Server(process, port, time.monotonic() - started)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the server was not ready: {log.read_text()}")
