"""Vector's own language reads real lines of the API, and the index knows each of their fields."""

import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime

import pytest
import yaml
from litestar.testing import TestClient
from vrl_python import VRLRuntime

from serving.app import create_app
from serving.options import ServingOptions
from serving.telemetry import logs
from tests.deploy.folder import DEPLOY
from warehouse.settings import REPOSITORY, Settings

FOLDER = DEPLOY / "logs"
PROGRAM = (FOLDER / "parse.vrl").read_text()
MAPPED = json.loads((FOLDER / "index_template.json").read_text())["template"]["mappings"]["properties"]


def parsed(message: str) -> dict[str, object]:
    event = {"message": message, "timestamp": "2026-03-01T09:00:01Z", "container_name": "api-1"}
    return dict(VRLRuntime.run(PROGRAM, event, "UTC").processed_event)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What an API without a model logs when all requests are logged."""
    home = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("logs") / "home")})
    found: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(self.format(record))

    handler = Kept()
    handler.setFormatter(logs.JsonLines())
    logger = logging.getLogger("loanlake")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with TestClient(create_app(home, ServingOptions(logs_all_requests=True))) as client:
        client.get("/healthz", headers=trace)
        client.post("/v1/scores", json={})
        client.get("/readyz")
    logger.removeHandler(handler)
    logger.setLevel(level)
    return found


def test_a_line_becomes_a_document_with_its_time(lines: list[str]) -> None:
    line = next(line for line in lines if "/healthz" in line)

    document = parsed(line)

    written = json.loads(line)
    # a time, as Vector's language prints one: "2026-03-01 09:00:00.123 UTC"
    time = datetime.fromisoformat(str(document.pop("@timestamp")).replace(" UTC", "+00:00"))
    assert time == datetime.fromisoformat(written["time"])
    assert document == {name: value for name, value in written.items() if name != "time"} | {"service": "api-1"}


def test_the_index_knows_every_field(lines: list[str]) -> None:
    fields = {name for line in lines for name in parsed(line)}

    assert {"route", "status", "duration_ms", "request_id", "trace_id"} <= fields
    assert fields - MAPPED.keys() == set()


def test_the_index_knows_every_field_that_the_page_names() -> None:
    page = (REPOSITORY / "docs" / "metrics.md").read_text().partition("\n## Logs\n")[2]
    named = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))

    assert named
    assert named <= MAPPED.keys()


def test_a_caller_is_divided_into_kind_and_id() -> None:
    document = parsed('{"time": "2026-03-01T09:00:00.123+00:00", "event": "request", "caller": "key 3b1e55"}')

    assert (document["caller_by"], document["caller_id"]) == ("key", "3b1e55")


def test_text_is_kept_as_it_is() -> None:
    document = parsed("2026-03-01 09:00:00 +0000 - dagster.daemon - INFO - Instance is configured")

    assert document["event"] == "text"
    assert "Instance is configured" in str(document["text"])


def test_vector_is_given_the_program_and_the_folder_of_the_logs() -> None:
    config = yaml.safe_load((FOLDER / "vector.yaml").read_text())

    assert (FOLDER / config["transforms"]["parsed"]["file"]).exists()
    assert {source for each in config["transforms"].values() for source in each["inputs"]} == set(config["sources"])
    assert config["sources"]["home"]["include"] == ["${LOANLAKE_HOME:-/var/lib/loanlake/home}/logs/*.log"]
