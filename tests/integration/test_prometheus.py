"""A real Prometheus reads the metrics, and its promtool checks the rules.

Debian's package ``prometheus`` has both programs. They are looked for on the PATH, or in the folder that
LOANLAKE_TEST_PROMETHEUS names.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from ml.monitoring.drift_figures import SCORE, Figure, VersionDrift, publish_drift
from tests.model_factory import MODEL_NAME, SOURCE
from tests.serving_home import APPLICATION, RISKY, furnish
from tests.serving_process import running
from warehouse.settings import REPOSITORY, Settings

pytestmark = pytest.mark.extended

DEPLOY = REPOSITORY / "deploy" / "prometheus"
N_SCORES = 60
#: For a scrape a second, and two workers on a busy machine.
SECONDS = 40.0


def program(name: str) -> str:
    """Where it is; skips the test where it is not."""
    found = shutil.which(name, path=os.environ.get("LOANLAKE_TEST_PROMETHEUS")) or shutil.which(name)
    if found is None:
        pytest.skip(
            f"{name} is neither on the PATH nor in LOANLAKE_TEST_PROMETHEUS: Debian's package prometheus has it"
        )
    return found


class Prometheus:
    """A running Prometheus, asked over its HTTP API."""

    def __init__(self, port: int):
        self._port = port

    def get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        connection.request("GET", f"/api/v1/{path}")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert answer["status"] == "success", answer
        return answer["data"]

    def value(self, expression: str) -> float | None:
        """An expression's only value now; None where it has none."""
        result = self.get(f"query?query={quote(expression)}")["result"]
        return float(result[0]["value"][1]) if result else None

    def wait_for(self, expression: str, wanted: float) -> None:
        deadline, found = time.monotonic() + SECONDS, None
        while time.monotonic() < deadline:
            try:
                found = self.value(expression)
            except OSError:  # it is starting
                found = None
            if found == wanted:
                return
            time.sleep(0.2)
        raise AssertionError(f"{expression} was {found} and not {wanted} within {SECONDS:g} s")


@contextmanager
def watching(target: int, directory: Path) -> Iterator[Prometheus]:
    """Prometheus with the configuration of this repository, but for the port and a scrape each second."""
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / pattern) for pattern in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{target}"]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    process = subprocess.Popen([program("prometheus"), *arguments])
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_prometheus_sees_what_was_sent_over_both_workers(home: Settings, tmp_path: Path) -> None:
    program("prometheus")
    serving_home = furnish(home)
    figures = (Figure("loan_to_income", 0.31, True), Figure(SCORE, 0.02, False))
    publish_drift(home, SOURCE, [VersionDrift(MODEL_NAME, 1, date(2022, 1, 1), datetime.now(UTC), figures)])

    with (
        running(serving_home, tmp_path / "log", workers=2) as server,
        watching(server.port, tmp_path) as prometheus,
        ThreadPoolExecutor(4) as threads,  # each request on a connection of its own: both workers get some
    ):
        bodies = [(APPLICATION, RISKY)[number % 2] for number in range(N_SCORES)]
        list(threads.map(lambda body: server.request("POST", "/v1/scores", body, serving_home.headers), bodies))
        prometheus.wait_for("sum(loan_predictions_total)", N_SCORES)

        # waited for, too: on a busy machine a scrape may miss its second
        prometheus.wait_for('up{job="loanlake"}', 1)
        prometheus.wait_for('sum(loan_prediction_result_total{decision="decline"})', N_SCORES / 2)
        prometheus.wait_for("sum(loan_prediction_duration_seconds_count)", N_SCORES)
        prometheus.wait_for('loan_model_drift_psi{feature="loan_to_income"}', 0.31)
        prometheus.wait_for("sum(loan_model_drift_detected)", 1)
        prometheus.wait_for("count(process_resident_memory_bytes)", 2)
        prometheus.wait_for('sum(loanlake_outbox_pending_rows{entries="decisions"})', N_SCORES)
        quantile = prometheus.value(
            "histogram_quantile(0.99, sum by (le) (last_over_time(loan_prediction_duration_seconds_bucket[1m])))"
        )
        assert quantile is not None
        assert 0 < quantile < 2.5
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        assert {rule["health"] for rule in rules} == {"ok"}
        # a rule that waits to fire is another matter: a busy machine is slow
        assert [alert for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rules/loanlake.yml"],
        ["test", "rules", "tests/loanlake.yml"],
    ],
    ids=" ".join,
)
def test_promtool_accepts_configuration_rules_and_their_tests(arguments: list[str]) -> None:
    done = subprocess.run([program("promtool"), *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
