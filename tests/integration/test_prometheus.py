"""A real Prometheus reads the metrics, and its promtool checks the rules.

Debian's package ``prometheus`` has both programs. They are looked for on the PATH, or in the folder that
LOANLAKE_TEST_PROMETHEUS names.
"""

import http.client
import json
import math
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import yaml

from ml.monitoring.drift_figures import SCORE, Figure, VersionDrift, publish_drift
from tests.free_ports import free_port
from tests.measured_lake import measure
from tests.model_factory import MODEL_NAME, SOURCE
from tests.serving_home import APPLICATION, RISKY, ServingHome, furnish
from tests.serving_process import Server, running
from warehouse.figures.published import publish_figures
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
    port = free_port()
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


class Watched(NamedTuple):
    """A Prometheus, and whom it watches: an API of two workers."""

    prometheus: Prometheus
    server: Server
    home: ServingHome

    def score(self) -> None:
        """Send N_SCORES applications, each on a connection of its own: both workers get some."""
        with ThreadPoolExecutor(4) as threads:
            bodies = [(APPLICATION, RISKY)[number % 2] for number in range(N_SCORES)]
            list(threads.map(lambda body: self.server.request("POST", "/v1/scores", body, self.home.headers), bodies))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """An API with figures of the lake and drift, and a Prometheus that saw scores and a refused request."""
    program("prometheus")
    folder = tmp_path_factory.mktemp("watched")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LOANLAKE_") and "_TEST_" not in name]:
            patch.delenv(name)
        settings = Settings.from_environment({"LOANLAKE_HOME": str(folder / "home")})
        serving_home = furnish(settings)
        measure(settings)
        publish_figures(settings)
        figures = (Figure("loan_to_income", 0.31, True, 0.2), Figure(SCORE, 0.02, False, 0.2))
        publish_drift(settings, SOURCE, [VersionDrift(MODEL_NAME, 1, date(2022, 1, 1), datetime.now(UTC), figures)])
        with (
            running(serving_home, folder / "log", workers=2) as server,
            watching(server.port, folder) as prometheus,
        ):
            found = Watched(prometheus, server, serving_home)
            found.score()
            server.request("POST", "/v1/scores", RISKY | {"term_months": 0}, serving_home.headers)
            prometheus.wait_for("sum(loan_predictions_total)", N_SCORES)
            yield found


def test_prometheus_sees_what_was_sent_over_both_workers(watched: Watched) -> None:
    prometheus = watched.prometheus

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


@pytest.fixture(scope="module")
def busy(watched: Watched) -> Prometheus:
    """The same after more scores: a rate needs a counter that rose between two scrapes."""
    watched.score()
    watched.server.request("POST", "/v1/scores", RISKY | {"term_months": 0}, watched.home.headers)
    watched.prometheus.wait_for("sum(loan_predictions_total)", 2 * N_SCORES)
    return watched.prometheus


@pytest.mark.parametrize("choice", ["all", "one"])
@pytest.mark.parametrize("dashboard", ["data", "model", "portfolio", "service"])
def test_each_query_of_a_dashboard_finds_values(busy: Prometheus, dashboard: str, choice: str) -> None:
    """With every lender, version and instance, and with one of each, as Grafana puts them into a query."""
    content = json.loads((DEPLOY.parent / "grafana" / "dashboards" / f"{dashboard}.json").read_text())
    [instance] = [sample["metric"]["instance"] for sample in busy.get("query?query=up")["result"]]
    chosen = {"lender": SOURCE, "version": "1", "instance": re.escape(instance)}
    variables = dict.fromkeys(chosen, ".*") if choice == "all" else chosen
    queries = {
        f"{panel['title']}, {target['refId']}": target["expr"]
        for panel in content["panels"]
        for target in panel.get("targets", [])
    }
    queries["Promotions"] = content["annotations"]["list"][0]["expr"]

    empty = {name: query for name, query in queries.items() if not _values(busy, query, variables)}

    assert len(queries) > 10
    assert empty == {}


@pytest.mark.parametrize(("variable", "wanted"), [("lender", [SOURCE]), ("version", ["1"])])
def test_a_dashboards_variables_offer_what_there_is(busy: Prometheus, variable: str, wanted: list[str]) -> None:
    content = json.loads((DEPLOY.parent / "grafana" / "dashboards" / "model.json").read_text())
    [asked] = [each["definition"] for each in content["templating"]["list"] if each["name"] == variable]
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", asked)
    assert found is not None
    selector = quote(_as_grafana_does(found[1], {"lender": ".*"}))

    assert busy.get(f"label/{found[2]}/values?match[]={selector}") == wanted


def _as_grafana_does(query: str, variables: Mapping[str, str]) -> str:
    for name, value in {"__rate_interval": "1m", **variables}.items():
        # a backslash of a regular expression is one of a PromQL text, too
        query = query.replace(f"${name}", value.replace("\\", "\\\\"))
    assert "$" not in query, query
    return query


def _values(prometheus: Prometheus, query: str, variables: Mapping[str, str]) -> list[float]:
    result = prometheus.get(f"query?query={quote(_as_grafana_does(query, variables))}")["result"]
    values = [float(sample["value"][1]) for sample in result]
    return [value for value in values if not math.isnan(value)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rules/loanlake.yml"],
        ["test", "rules", "tests/loanlake.yml", "tests/loanlake_days.yml"],
    ],
    ids=" ".join,
)
def test_promtool_accepts_configuration_rules_and_their_tests(arguments: list[str]) -> None:
    done = subprocess.run([program("promtool"), *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
