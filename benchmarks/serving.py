"""Scores over HTTP: the API against ``mlflow models serve`` on the same bundle, and against a handler that only scores.

One worker each, 16 connections, loopback. The API does the whole path: key, strict validation, look-up in the online
store, features, score, reasons, durable log. MLflow's server is given the features ready-made. The bare handler is
Litestar, msgspec and ONNX with nothing else in the path: the ceiling of this stack on this machine.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.comparison import Comparison
from benchmarks.http_load import Load, free_port, is_up, put_load
from ml.bundle import Bundle, load_bundle
from ml.promotion import publish
from serving.keys import MOST_REQUESTS, KeyStore
from tests.model_factory import MODEL_NAME, SETTINGS, SOURCE, fill_lake, trained, write_model
from tests.serving_home import APPLICATION, fill_online_store
from warehouse.settings import Settings

CONNECTIONS = 16
SECONDS = 6.0
_BIN = Path(sys.executable).parent
_BUNDLE = "LOANLAKE_BENCHMARK_BUNDLE"


@dataclass(frozen=True)
class Served:
    """A server's answers under load, and its way there."""

    load: Load
    seconds_to_ready: float


def run() -> list[Comparison]:
    """Requests a second, waits and start of each server."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings.from_environment({"LOANLAKE_HOME": f"{directory}/home"})
        bundle, key = _furnish(settings, Path(directory))
        ours = _measure_ours(settings, key)
        bare = _measure_bare(bundle)
        mlflow = _measure_mlflow(bundle, Path(directory))
    peer = "mlflow models serve, the same bundle"
    what = f"score endpoint, 1 worker, {CONNECTIONS} connections"
    return [
        Comparison(what, peer, "requests/s", ours.load.per_second, mlflow.load.per_second, higher_is_better=True),
        Comparison(f"{what}, p50", peer, "ms", ours.load.wait_ms(50), mlflow.load.wait_ms(50), higher_is_better=False),
        Comparison(f"{what}, p99", peer, "ms", ours.load.wait_ms(99), mlflow.load.wait_ms(99), higher_is_better=False),
        Comparison(
            "start until ready", peer, "s", ours.seconds_to_ready, mlflow.seconds_to_ready, higher_is_better=False
        ),
        Comparison(
            f"{what}, durable and explained",
            "a handler that only scores, durable nowhere",
            "requests/s",
            ours.load.per_second,
            bare.load.per_second,
            higher_is_better=True,
        ),
    ]


def _furnish(settings: Settings, directory: Path) -> tuple[Bundle, str]:
    """A model of 400 trees, an online store and a key."""
    fill_lake(settings, 4000)
    boosting = replace(SETTINGS.boosting, max_trees=400, max_depth=5, learning_rate=0.02)
    bundle = write_model(directory / "bundle", *trained(settings, replace(SETTINGS, boosting=boosting)))
    publish(bundle, settings, source=SOURCE, model_name=MODEL_NAME, model_version=1, by="benchmark")
    fill_online_store(settings)
    return bundle, KeyStore(settings.keys).create("benchmark", ["score"], rate_limit=MOST_REQUESTS)


def _measure_ours(settings: Settings, key: str) -> Served:
    port = free_port()
    command = [str(_BIN / "loanlake"), "serve", "--port", str(port)]
    with _server(command, port, "/readyz", {"LOANLAKE_HOME": str(settings.home)}) as seconds:
        headers = {"Authorization": f"Bearer {key}"}
        return Served(_load(port, "/v1/scores", json.dumps(APPLICATION), headers), seconds)


def _measure_bare(bundle: Bundle) -> Served:
    port = free_port()
    command = [
        str(_BIN / "uvicorn"),
        "benchmarks.serving:bare_app",
        "--factory",
        "--port",
        str(port),
        "--no-access-log",
    ]
    with _server(command, port, "/healthz", {_BUNDLE: str(bundle.directory)}) as seconds:
        return Served(_load(port, "/score", json.dumps({"features": _features(bundle)})), seconds)


def _measure_mlflow(bundle: Bundle, directory: Path) -> Served:
    import mlflow

    from ml import pyfunc_model, pyfunc_signature

    model = directory / "mlflow-model"
    mlflow.pyfunc.save_model(
        path=str(model),
        python_model=str(pyfunc_model.__file__),
        artifacts={"bundle": str(bundle.directory)},
        signature=pyfunc_signature.signature(bundle.contract),
        pip_requirements=["loanlake"],
    )
    port = free_port()
    command = [str(_BIN / "mlflow"), "models", "serve", "-m", str(model), "--env-manager", "local", "-p", str(port)]
    row = dict(zip(bundle.contract.feature_names, _features(bundle), strict=True))
    environment = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{directory}/mlflow.db",
        "PATH": f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}",  # it starts uvicorn by name
    }
    with _server(command, port, "/ping", environment) as seconds:
        return Served(_load(port, "/invocations", json.dumps({"dataframe_records": [row]})), seconds)


def _features(bundle: Bundle) -> list[Any]:
    from ml.scorer import Scorer

    scorer = Scorer(bundle)
    inputs = dict.fromkeys(column.name for column in bundle.contract.inputs)
    given = {name: value for name, value in APPLICATION.items() if name != "oldest_account_on"}
    return list(scorer.features({**inputs, **given}))


def _load(port: int, path: str, body: str, headers: dict[str, str] | None = None) -> Load:
    put_load(port, path, body, headers, connections=CONNECTIONS, seconds=1.0)  # caches and lazy imports
    return put_load(port, path, body, headers, connections=CONNECTIONS, seconds=SECONDS)


@contextmanager
def _server(command: list[str], port: int, health: str, environment: dict[str, str]) -> Iterator[float]:
    """Run a server; yields the seconds until it answered its health check."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        # a session of its own: MLflow's server leaves its workers behind when only the parent is told to stop
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            while not is_up(port, health):
                if process.poll() is not None or time.perf_counter() - started > 120:
                    log.seek(0)
                    raise RuntimeError(f"{command[0]} did not start: {log.read()[-2000:].decode()}")
                time.sleep(0.05)
            yield time.perf_counter() - started
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def bare_app() -> Any:
    """Litestar, msgspec and ONNX: decode feature values, score, answer."""
    import msgspec
    from litestar import Litestar, get, post
    from litestar.params import JSONBody

    from ml.scorer import Score, Scorer

    scorer = Scorer(load_bundle(Path(os.environ[_BUNDLE])))

    class Row(msgspec.Struct):
        features: list[float | int | str | bool | None]

    @post("/score", status_code=200)
    async def score(data: JSONBody[Row]) -> Score:
        return scorer.score(data.features)

    @get("/healthz")
    async def alive() -> str:
        return "alive"

    return Litestar([score, alive], openapi_config=None, logging_config=None, signature_namespace={"Row": Row})
