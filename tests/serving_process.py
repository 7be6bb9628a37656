"""`loanlake serve` as a process of its own."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.free_ports import free_port
from tests.serving_home import ServingHome

READY_SECONDS = 60.0


@dataclass
class Server:
    """A running ``loanlake serve``."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    seconds_to_ready: float = 0.0

    def request(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> object:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"} | (headers or {}))
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def workers(self) -> list[int]:
        """Ids of the processes that answer and are alive, the youngest last; where there is one, it is the server."""
        began = [event for event in self.events() if event.startswith("Started server process")]
        return [pid for event in began if _is_alive(pid := int(event.split("[")[1].rstrip("]")))]

    def events(self) -> list[str]:
        """What its log names so far, oldest first."""
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line)["event"] for line in lines if line.endswith("}\n")]


@contextmanager
def running(
    serving_home: ServingHome,
    log: Path,
    *,
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Server]:
    """A server of which every worker is ready, stopped afterwards; ``log`` gets what it prints.

    Given no port, it takes a free one. No history is too old for it: the store's clock stands in 2022.
    """
    port = port or free_port()
    command = [str(Path(sys.executable).with_name("loanlake")), "serve", "--port", str(port), "--workers", str(workers)]
    variables = os.environ | {"LOANLAKE_HISTORY_MAX_AGE_HOURS": "none"} | dict(environment or {})
    variables["LOANLAKE_HOME"] = str(serving_home.settings.home)
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=variables, stderr=output, stdout=output)
    server = Server(process, port, log)
    try:
        _wait_until_ready(server, workers)
        server.seconds_to_ready = time.monotonic() - started
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_until_ready(server: Server, workers: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
            connection.request("GET", "/readyz")
            # one that answers may be a worker of the server before, or the first of several
            n_ready = server.events().count("Application startup complete.")
            if connection.getresponse().status == 200 and n_ready >= workers:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the server was not ready: {server.log.read_text()}")
