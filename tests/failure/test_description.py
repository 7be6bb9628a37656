"""The API matches its description: schemathesis generates valid and invalid requests and checks each answer.

No 5xx, no status, header, content type or shape that is not described, nothing invalid accepted, nothing valid refused,
nothing without a key: first each request by itself, then along the links, from a score to its decision and outcome.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.serving_home import ServingHome, furnish
from tests.serving_process import Server, running
from warehouse.settings import REPOSITORY, Settings

HERE = Path(__file__).parent
#: Examples an operation, others in each run of the suite; 720 make 10,000 cases, in nine times the time.
EXAMPLES = int(os.environ.get("LOANLAKE_TEST_EXAMPLES", "80"))


@pytest.fixture(scope="module")
def serving_home(tmp_path_factory: pytest.TempPathFactory) -> ServingHome:
    home = tmp_path_factory.mktemp("fuzzed") / "home"
    return furnish(Settings.from_environment({"LOANLAKE_HOME": str(home)}))


@pytest.fixture(scope="module")
def server(serving_home: ServingHome) -> Iterator[Server]:
    # nothing scores the batches here, and more of them come than a server lets wait
    environment = {"LOANLAKE_QUEUED_BATCHES": "100000", "LOANLAKE_QUEUED_BATCHES_OF_CALLER": "100000"}
    with running(serving_home, serving_home.settings.home / "server.log", environment=environment) as server:
        yield server


@pytest.mark.extended
def test_every_answer_is_as_described(server: Server, serving_home: ServingHome, tmp_path: Path) -> None:
    # a process for each core: the second takes about as long as the first
    phases = [["examples", "coverage", "fuzzing"], ["stateful"]]
    with ThreadPoolExecutor() as threads:
        reports = list(threads.map(lambda some: _ask(server, serving_home, tmp_path, some), phases))

    for report, some in zip(reports, phases, strict=True):
        assert {phase: report["phases"][phase]["status"] for phase in some} == dict.fromkeys(some, "success")
    assert reports[0]["operations"]["tested"] == reports[0]["operations"]["total"]
    assert sum(report["test_cases"]["generated"] for report in reports) >= 13 * EXAMPLES


def _ask(server: Server, serving_home: ServingHome, directory: Path, phases: list[str]) -> dict[str, Any]:
    """What schemathesis reports; fails with its findings, each with a curl command, and the seed."""
    report = directory / f"{phases[0]}.json"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", HERE / "schemathesis.toml"),
            *("run", f"http://127.0.0.1:{server.port}/schema/openapi.json"),
            *("--header", f"Authorization: Bearer {serving_home.key}"),
            *("--phases", ",".join(phases)),
            *("--max-examples", str(EXAMPLES)),
            *("--report", "json", "--report-json-path", report),
        ],
        cwd=directory,  # it leaves things behind
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.failure.schemathesis_hooks", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    return found
