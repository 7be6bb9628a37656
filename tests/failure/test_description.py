"""The API is what its description says: schemathesis makes requests from it, good ones and bad, and checks each answer.

No 5xx, no status, header, content type or shape that is not described, nothing invalid accepted, nothing valid refused,
nothing without a key: first each request by itself, then along the links, from a score to its decision and outcome.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving_home import ServingHome, furnish
from tests.serving_process import Server, running
from warehouse.settings import REPOSITORY, Settings

HERE = Path(__file__).parent
PHASES = ("examples", "coverage", "fuzzing", "stateful")


@pytest.fixture(scope="module")
def serving_home(tmp_path_factory: pytest.TempPathFactory) -> ServingHome:
    home = tmp_path_factory.mktemp("fuzzed") / "home"
    return furnish(Settings.from_environment({"LOANLAKE_HOME": str(home)}))


@pytest.fixture(scope="module")
def server(serving_home: ServingHome) -> Iterator[Server]:
    with running(serving_home, serving_home.settings.home / "server.log") as server:
        yield server


@pytest.mark.parametrize(
    ("examples", "cases"),
    [(5, 200), pytest.param(1_100, 10_000, marks=pytest.mark.extended)],
)
def test_every_answer_is_as_described(
    server: Server, serving_home: ServingHome, tmp_path: Path, examples: int, cases: int
) -> None:
    found = _ask(server, serving_home, tmp_path / "report.json", examples=examples)

    assert found["exit_code"] == 0
    assert found["operations"]["tested"] == found["operations"]["total"]
    assert {phase: ran["status"] for phase, ran in found["phases"].items()} == dict.fromkeys(PHASES, "success")
    assert found["test_cases"]["generated"] >= cases


def _ask(server: Server, serving_home: ServingHome, report: Path, *, examples: int) -> dict[str, dict[str, object]]:
    """What schemathesis reports; fails with its findings, each with a curl command, and the seed."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", HERE / "schemathesis.toml"),
            *("run", f"http://127.0.0.1:{server.port}/schema/openapi.json"),
            *("--header", f"Authorization: Bearer {serving_home.key}"),
            *("--phases", ",".join(PHASES)),
            *("--max-examples", str(examples)),
            *("--report", "json", "--report-json-path", report),
        ],
        cwd=report.parent,  # it leaves things behind
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.failure.schemathesis_hooks", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, dict[str, object]] = json.loads(report.read_text())
    return found
