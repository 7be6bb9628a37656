"""Scores over HTTP: the API against ``mlflow models serve`` on the same bundle, and against a handler that only scores.

One worker each, 16 connections, loopback, the simulated lender's latest applications. The API does the whole path: key,
rate limit, strict validation, look-up in the online store, features, score, calibration, reasons for a decline, durable
log. MLflow's server is given the features ready-made. The bare handler is Litestar, msgspec and ONNX with nothing else
in the path: it parses the same bodies and scores a row that is there, the ceiling of this stack on this machine.

Servers are measured in turn, ``LOANLAKE_BENCH_ROUNDS`` times (default 3), and the median of each is compared, so that a
machine that is slow for a while is slow for all.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.comparison import Comparison
from benchmarks.serving.home import BenchmarkHome, benchmark_home
from benchmarks.serving.http_load import Load, free_port, is_up, put_load
from ml.bundle.bundle import Bundle, load_bundle
from warehouse.settings import sqlite_uri

CONNECTIONS = 16
SECONDS = 5.0
_BIN = Path(sys.executable).parent
_BUNDLE = "LOANLAKE_BENCH_BUNDLE"
_FEATURES = "LOANLAKE_BENCH_FEATURES"


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    pid: int
    seconds_to_ready: float


@dataclass(frozen=True)
class Served:
    """A server's answers under load, and its way there."""

    load: Load
    seconds_to_ready: float


def run() -> list[Comparison]:
    """Requests a second, waits and start of each server."""
    rounds = int(os.environ.get("LOANLAKE_BENCH_ROUNDS", "3"))
    with benchmark_home() as home, tempfile.TemporaryDirectory() as directory:
        model = _save_for_mlflow(home.bundle, Path(directory))
        measured = [
            (_measure_ours(home), _measure_bare(home), _measure_mlflow(home, model, Path(directory)))
            for _ in range(rounds)
        ]
    ours, bare, mlflow = ([each[server] for each in measured] for server in range(3))
    what = f"score endpoint, 1 worker, {CONNECTIONS} connections, {len(home.bundle.contract.features)} features"
    figures: list[tuple[str, str, Callable[[Served], float]]] = [
        (what, "requests/s", lambda served: served.load.per_second),
        (f"{what}, p50", "ms", lambda served: served.load.wait_ms(50)),
        (f"{what}, p99", "ms", lambda served: served.load.wait_ms(99)),
        ("start until ready", "s", lambda served: served.seconds_to_ready),
    ]
    compared = [(name, "mlflow models serve, the same bundle", unit, figure, mlflow) for name, unit, figure in figures]
    compared += [(*figures[0][:1], "a bare handler: same bodies, same ONNX model", *figures[0][1:], bare)]
    return [
        Comparison(
            name, peer, unit, _median(ours, figure), _median(peers, figure), higher_is_better=unit == "requests/s"
        )
        for name, peer, unit, figure, peers in compared
    ]


def _median(served: list[Served], figure: Callable[[Served], float]) -> float:
    return statistics.median(map(figure, served))


@contextmanager
def our_server(home: BenchmarkHome) -> Iterator[tuple[Running, int]]:
    """The API with one worker over what the home deploys, and its port."""
    port = free_port()
    command = [str(_BIN / "loanlake"), "serve", "--port", str(port)]
    with server(command, port, "/readyz", home.environment) as running:
        yield running, port


@contextmanager
def bare_server(home: BenchmarkHome, bundle: Bundle) -> Iterator[tuple[Running, int]]:
    """:func:`bare_app` of a bundle, and its port."""
    port = free_port()
    command = [str(_BIN / "uvicorn"), "benchmarks.serving.scores:bare_app", "--factory", "--port", str(port)]
    features = next(_features(bundle, home.requests))
    environment = {_BUNDLE: str(bundle.directory), _FEATURES: json.dumps(features)}
    with server([*command, "--no-access-log"], port, "/healthz", environment) as running:
        yield running, port


def _measure_ours(home: BenchmarkHome) -> Served:
    with our_server(home) as (running, port):
        return Served(_load(port, "/v1/scores", home.requests, home.headers), running.seconds_to_ready)


def _measure_bare(home: BenchmarkHome) -> Served:
    with bare_server(home, home.bundle) as (running, port):
        return Served(_load(port, "/score", home.requests), running.seconds_to_ready)


def _save_for_mlflow(bundle: Bundle, directory: Path) -> Path:
    import mlflow

    from ml.bundle import pyfunc_model, pyfunc_signature

    model = directory / "mlflow-model"
    mlflow.pyfunc.save_model(
        path=str(model),
        python_model=str(pyfunc_model.__file__),
        artifacts={"bundle": str(bundle.directory)},
        signature=pyfunc_signature.signature(),
        pip_requirements=["loanlake"],
    )
    return model


def _measure_mlflow(home: BenchmarkHome, model: Path, directory: Path) -> Served:
    port = free_port()
    command = [str(_BIN / "mlflow"), "models", "serve", "-m", str(model), "--env-manager", "local", "-p", str(port)]
    names = home.bundle.contract.feature_names
    bodies = [
        json.dumps({"dataframe_records": [dict(zip(names, features, strict=True))]})
        for features in _features(home.bundle, home.requests)
    ]
    environment = {
        "MLFLOW_TRACKING_URI": sqlite_uri(directory / "mlflow.db"),
        "PATH": f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}",  # it starts uvicorn by name
    }
    with server([*command, "--workers", "1"], port, "/ping", environment) as running:
        return Served(_load(port, "/invocations", bodies), running.seconds_to_ready)


def _features(bundle: Bundle, requests: list[str]) -> Iterator[tuple[object, ...]]:
    """Feature vectors of requests without history: a peer's work depends on their number and types."""
    from datetime import UTC, datetime

    from ml.bundle.scorer import Scorer
    from serving.deployed.score_request import score_request_schema

    scorer, schema = Scorer(bundle), score_request_schema(bundle.contract)
    nothing = dict.fromkeys(bundle.contract.input_names)
    now = datetime.now(UTC).replace(tzinfo=None)
    for request in requests:
        yield scorer.features({**nothing, **schema.validate(json.loads(request)), "decided_at": now})


def _load(port: int, path: str, bodies: list[str], headers: dict[str, str] | None = None) -> Load:
    put_load(port, path, bodies, headers, connections=CONNECTIONS, seconds=1.0)  # caches and lazy imports
    return put_load(port, path, bodies, headers, connections=CONNECTIONS, seconds=SECONDS)


@contextmanager
def server(command: list[str], port: int, health: str, environment: dict[str, str]) -> Iterator[Running]:
    """Run a server until it answers its health check, and end it afterwards."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        # a session of its own: MLflow's server leaves its workers behind when only the parent is stopped
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            while not is_up(port, health):
                if process.poll() is not None or time.perf_counter() - started > 120:
                    log.seek(0)
                    raise RuntimeError(f"{command[0]} did not start: {log.read()[-2000:].decode()}")
                time.sleep(0.05)
            yield Running(process.pid, time.perf_counter() - started)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def bare_app() -> Any:
    """Litestar, msgspec and ONNX: decode a score request, score a row that is there, answer."""
    from litestar import Litestar, get, post
    from litestar.params import JSONBody

    from ml.bundle.scorer import Score, Scorer
    from serving.deployed.score_request import score_request_schema

    bundle = load_bundle(Path(os.environ[_BUNDLE]))
    scorer, body = Scorer(bundle), score_request_schema(bundle.contract).struct
    features = json.loads(os.environ[_FEATURES])

    @post("/score", status_code=200)
    async def score(data: JSONBody[body]) -> Score:  # type: ignore[valid-type]  # noqa: ARG001  # parsed, not read
        return scorer.score(features)

    @get("/healthz")
    async def alive() -> str:
        return "alive"

    return Litestar([score, alive], openapi_config=None, logging_config=None)
