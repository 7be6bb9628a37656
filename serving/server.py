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

from warehouse.backup.records import require_whole
from warehouse.files.private_files import keep_private
from warehouse.settings import Settings
from warehouse.settings.registry import misspelt

if TYPE_CHECKING:
    from litestar import Litestar

#: Seconds that a thread may keep the interpreter: loading a model, or a commit, would add Python's 5 ms to requests at
#: each turn.
_SWITCH_SECONDS = 0.001
#: Seconds for running requests when the server stops.
_GRACE_SECONDS = 10
#: Seconds to wait for an occupied port at the start.
_PORT_SECONDS = 10.0

log = logging.getLogger("loanlake.serving")


def run(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Serve until stopped; each worker has its own outbox writer, and ``/metrics`` sums them."""
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
            ws="none",  # no WebSocket
        )
    finally:
        if counters is not None:
            shutil.rmtree(counters, ignore_errors=True)


def worker_app() -> "Litestar":
    """The application of one process; configures logging, which a worker does not inherit."""
    from serving.telemetry import logs

    logs.configure()
    parent, is_made = multiprocessing.process.parent_process(), Event()
    if parent is not None:
        Thread(target=_end_after, args=[parent, is_made], name="orphan", daemon=True).start()
    from serving.app import create_app

    settings = Settings.from_environment()
    require_whole(settings)
    keep_private(settings)
    app = create_app()
    # objects of the first model stay in memory: a full garbage collection would stop all requests for 50 ms
    app.on_startup.append(gc.freeze)
    sys.setswitchinterval(_SWITCH_SECONDS)
    is_made.set()
    return app


def _end_after(parent: multiprocessing.process.BaseProcess, is_made: Event) -> None:
    """End a worker whose parent was killed: it would answer unseen, and keep the port from the next server."""
    parent.join()
    log.error("the parent process is gone: this worker stops")
    if not is_made.is_set():
        os._exit(1)  # no request has begun
    os.kill(os.getpid(), signal.SIGTERM)  # like the parent's stop: running requests are answered


def _wait_for_port(host: str, port: int) -> None:
    """Wait for an earlier server: workers of a killed one need a moment to end."""
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
            return error.errno == errno.EADDRINUSE  # uvicorn reports other errors
    return False
