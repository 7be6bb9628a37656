"""A rule fires, one notification arrives, and it is resolved: Debian's Prometheus and Alertmanager, end to end.

The programs are looked for as in test_prometheus.py; without them the tests are skipped and say so.
"""

import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.free_ports import free_port
from warehouse.settings import REPOSITORY

pytestmark = pytest.mark.extended

DEPLOY = REPOSITORY / "deploy" / "prometheus"
#: For a scrape and an evaluation a second on a busy machine.
SECONDS = 90.0


def program(name: str) -> str:
    """Where it is; skips the test where it is not."""
    found = shutil.which(name, path=os.environ.get("LOANLAKE_TEST_PROMETHEUS")) or shutil.which(name)
    if found is None:
        pytest.skip(
            f"{name} is neither on the PATH nor in LOANLAKE_TEST_PROMETHEUS: Debian's packages prometheus and "
            "prometheus-alertmanager have it"
        )
    return found


def alertmanager_program() -> str:
    """Where it is; skips the test where it cannot start."""
    found, template = program("prometheus-alertmanager"), "share/prometheus/alertmanager/email.tmpl"
    is_unpacked = (Path(found).parents[1] / template).exists()
    if is_unpacked and not (Path("/usr") / template).exists():
        pytest.skip(
            f"Debian's Alertmanager reads its template at /usr/{template}, which is missing: install the package"
        )
    return found


@contextmanager
def server(port: int, handler: type[BaseHTTPRequestHandler]) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", port), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=[0.05])
        thread.start()
        try:
            yield
        finally:
            serving.shutdown()
            thread.join()


@contextmanager
def started(*command: str) -> Iterator[None]:
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def configured(directory: Path, *, target: int, alertmanager: int, webhook: int) -> tuple[Path, Path]:
    """The repository's files, but for ports, and with seconds where they have minutes."""
    prometheus = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    prometheus["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    rules = yaml.safe_load((DEPLOY / "rules" / "loanlake.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["for"] = "0s"
    (directory / "rules.yml").write_text(yaml.safe_dump(rules))
    prometheus["rule_files"] = [str(directory / "rules.yml")]
    prometheus["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{target}"]
    prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager}"]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(prometheus))

    manager = yaml.safe_load((DEPLOY / "alertmanager.yml").read_text())
    manager["route"] |= {"group_wait": "2s", "group_interval": "2s"}
    for receiver in manager["receivers"]:
        for hook in receiver["webhook_configs"]:
            hook["url"] = hook["url"].replace(":9080/", f":{webhook}/")
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(manager))
    return directory / "prometheus.yml", directory / "alertmanager.yml"


def test_an_api_that_stops_is_notified_once_and_its_return_too(tmp_path: Path) -> None:
    prometheus, alertmanager = program("prometheus"), alertmanager_program()
    arrived: queue.Queue[tuple[str, Any]] = queue.Queue()
    target, manager, webhook, page = (free_port() for _ in range(4))

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(b"")

        def log_message(self, *_: object) -> None:
            pass

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.put((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    of_prometheus, of_manager = configured(tmp_path, target=target, alertmanager=manager, webhook=webhook)
    with ExitStack() as running:
        running.enter_context(server(webhook, Hook))
        running.enter_context(
            started(
                alertmanager,
                f"--config.file={of_manager}",
                f"--storage.path={tmp_path / 'alerts'}",
                f"--web.listen-address=127.0.0.1:{manager}",
                "--cluster.listen-address=",
                "--log.level=warn",
            )
        )
        running.enter_context(
            started(
                prometheus,
                f"--config.file={of_prometheus}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{page}",
                "--log.level=warn",
            )
        )

        # nothing answers at the target's port
        path, fired = arrived.get(timeout=SECONDS)
        time.sleep(6)  # three times the group's interval: a second notification would have come
        n_more = arrived.qsize()
        with server(target, Metrics):
            path_of_end, ended = arrived.get(timeout=SECONDS)

    assert (path, path_of_end) == ("/on-call", "/on-call")
    assert (fired["status"], ended["status"]) == ("firing", "resolved")
    assert [each["labels"]["alertname"] for each in fired["alerts"]] == ["LoanlakeDown"]
    assert "Start it again" in fired["alerts"][0]["annotations"]["action"]
    assert n_more == 0


def _receivers(*labels: str) -> str:
    command = [program("amtool"), "config", "routes", "test", f"--config.file={DEPLOY / 'alertmanager.yml'}", *labels]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_critical_alerts_go_on_call_and_others_to_the_team() -> None:
    assert _receivers("severity=critical", "alertname=LoanlakeDown") == "on-call"
    assert _receivers("severity=warning", "alertname=LoanlakeSlow") == "team"


def test_amtool_accepts_the_configuration() -> None:
    command = [program("amtool"), "check-config", str(DEPLOY / "alertmanager.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_an_inhibition_names_rules_that_there_are() -> None:
    known = {
        rule["alert"]
        for group in yaml.safe_load((DEPLOY / "rules" / "loanlake.yml").read_text())["groups"]
        for rule in group["rules"]
    }
    inhibitions = yaml.safe_load((DEPLOY / "alertmanager.yml").read_text())["inhibit_rules"]
    matchers = [each for rule in inhibitions for side in ("source_matchers", "target_matchers") for each in rule[side]]

    named = {name for each in matchers for name in each.split('"')[1].split("|")}

    assert named <= known
