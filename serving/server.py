"""Run the API under uvicorn."""

import errno
import gc
import logging
import multiprocessing.process
import os
import shutil
import signal
import socket
import sys
import time
from threading import Event, Thread
from typing import TYPE_CHECKING

from warehouse.files.private_files import keep_private
from warehouse.settings import Settings
from warehouse.settings.registry import misspelt

if TYPE_CHECKING:
    from litestar import Litestar

#: Seconds that a thread may keep the interpreter from requests: a model being loaded, or a running commit, would add
#: Python's own 5 ms to them, each time that it has a turn.
_SWITCH_SECONDS = 0.001
#: Seconds that running requests get when the server stops.
_GRACE_SECONDS = 10
#: Seconds that a port may still be taken when the server starts.
_PORT_SECONDS = 10.0

log = logging.getLogger("loanlake.serving")


def run(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Serve until stopped; with several workers each has its own outbox writer, and ``/metrics`` adds them up."""
    import uvicorn

    from serving.telemetry import logs
    from serving.telemetry.workers import COUNTERS, new_counters

    logs.configure()
    for sentence in misspelt(os.environ):
        log.warning(sentence)
    keep_private(settings)
    # worker processes read their settings from the environment they inherit
    os.environ["LOANLAKE_HOME"] = str(settings.home)
    _wait_for_port(host, port)
    counters = new_counters(settings.counters / str(port)) if workers > 1 else None
    if counters is not None:
        os.environ[COUNTERS] = str(counters)
    try:
        uvicorn.run(
            "serving.server:worker_app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            access_log=False,  # requests are counted in /metrics; paths carry decision ids
            server_header=False,
            log_config=None,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            http="serving.overload.slow_clients:PunctualProtocol",
            ws="none",  # nothing here speaks WebSocket
        )
    finally:
        if counters is not None:
            shutil.rmtree(counters, ignore_errors=True)


def worker_app() -> "Litestar":
    """The application of one process, which says what it does as this one has: a worker inherits no logging."""
    from serving.telemetry import logs

    logs.configure()
    parent, is_made = multiprocessing.process.parent_process(), Event()
    if parent is not None:
        Thread(target=_end_after, args=[parent, is_made], name="orphan", daemon=True).start()
    from serving.app import create_app

    keep_private(Settings.from_environment())
    app = create_app()
    # objects of the first model stay in memory: a full garbage collection would stop all requests for 50 ms to find
    # that out again
    app.on_startup.append(gc.freeze)
    sys.setswitchinterval(_SWITCH_SECONDS)
    is_made.set()
    return app


def _end_after(parent: multiprocessing.process.BaseProcess, is_made: Event) -> None:
    """A worker whose parent was killed answers on, unseen, and keeps the port from the server that is started next."""
    parent.join()
    log.error("the parent process is gone: this worker stops")
    if not is_made.is_set():
        os._exit(1)  # nothing has begun
    os.kill(os.getpid(), signal.SIGTERM)  # as the parent would have done: what has begun is answered


def _wait_for_port(host: str, port: int) -> None:
    """Wait for a server that was there before: its workers, if it was killed, need a moment to see that and end."""
    deadline = time.monotonic() + _PORT_SECONDS
    if _is_taken(host, port):
        log.warning("the port is in use: waiting for its server to end", extra={"port": port})
    while _is_taken(host, port) and time.monotonic() < deadline:
        time.sleep(0.1)


def _is_taken(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE  # whatever else is wrong, uvicorn says
    return False
