"""Run the API under uvicorn."""

import os
import shutil
from typing import TYPE_CHECKING

from warehouse.settings import Settings

if TYPE_CHECKING:
    from litestar import Litestar

#: Seconds that requests in flight get when the server is told to stop.
_GRACE_SECONDS = 10


def run(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Serve until stopped; with several workers each has its own outbox writer, and ``/metrics`` adds them up."""
    import uvicorn

    from serving import logs

    logs.configure()
    # worker processes read their settings from the environment they inherit
    os.environ["LOANLAKE_HOME"] = str(settings.home)
    if workers > 1:
        counters = settings.counters / str(port)
        shutil.rmtree(counters, ignore_errors=True)  # of the run before, whose counts must not be added
        counters.mkdir(parents=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counters)
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
        http="serving.slow_clients:PunctualProtocol",
        ws="none",  # nothing here speaks WebSocket
    )


def worker_app() -> "Litestar":
    """The application of one process, which says what it does as this one has: a worker inherits no logging."""
    from serving import logs
    from serving.app import create_app

    logs.configure()
    return create_app()
