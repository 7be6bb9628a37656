"""What Dagster's GraphQL says of the daemon's sensor, read from a server that answers as Dagster does."""

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from orchestration.services.readiness import decisions_become_rows

STARTED_AT = 1_000.0


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Path, dict[str, Any]]]:
    """The socket, and what is answered there: change ``data`` in place."""
    data: dict[str, Any] = {}

    async def answer(request: Request) -> JSONResponse:
        assert json.loads(await request.body())["variables"] == {"sensor": "decisions_to_ingest"}
        return JSONResponse({"data": data})

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dagster"
        app = Starlette(routes=[Route("/graphql", answer, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, uds=str(path), log_level="error"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield path, data
        server.should_exit = True
        thread.join()


def sensor(status: str, *looked_at: float) -> dict[str, Any]:
    return {"sensorState": {"status": status, "ticks": [{"timestamp": moment} for moment in looked_at]}}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (sensor("RUNNING", STARTED_AT + 1), "decisions become rows within a minute"),
        (sensor("STOPPED"), "sensor decisions_to_ingest is stopped"),
        (sensor("RUNNING", STARTED_AT - 1), None),
        (sensor("RUNNING"), None),
        ({}, None),
        (None, None),
    ],
    ids=["it looks", "stopped", "looked before this start only", "never looked", "code is loading", "an error"],
)
def test_the_daemon_runs_once_its_sensor_has_looked(
    served: tuple[Path, dict[str, Any]], answer: dict[str, Any] | None, expected: str | None
) -> None:
    path, data = served
    data["sensorOrError"] = answer

    said = decisions_become_rows(path, since=STARTED_AT)

    assert said is None if expected is None else said is not None and expected in said


def test_a_dagster_that_does_not_listen_yet_is_not_ready(tmp_path: Path) -> None:
    assert decisions_become_rows(tmp_path / "none", since=STARTED_AT) is None
