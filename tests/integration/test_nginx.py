"""A real nginx with the files of deploy/nginx before two APIs of one home, of which one is killed under load.

Debian's package ``nginx`` has the program. It is looked for on the PATH, or in the folder that LOANLAKE_TEST_NGINX
names.
"""

import http.client
import json
import os
import shutil
import sqlite3
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serving.options import ServingOptions
from tests.free_ports import free_port
from tests.serving_home import APPLICATION, ServingHome, furnish
from tests.serving_process import Server, running
from warehouse.settings import REPOSITORY, Settings

pytestmark = pytest.mark.extended

DEPLOY = REPOSITORY / "deploy" / "nginx"
N_CALLERS, N_SCORES_EACH = 8, 60
SECONDS = 30.0


class Answer(NamedTuple):
    status: int
    body: bytes


class Proxy(NamedTuple):
    """A running nginx before two APIs; ``pages`` is Dagster's port, behind which nothing listens."""

    home: ServingHome
    apis: tuple[Server, Server]
    port: int
    pages: int
    mlflow: int

    def connect(self, port: int | None = None) -> http.client.HTTPSConnection:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", port or self.port, timeout=20, context=context)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = {}, port: int | None = None
    ) -> Answer:
        connection = self.connect(port)
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        found = Answer(answer.status, answer.read())
        connection.close()
        return found


def _program() -> str:
    found = shutil.which("nginx", path=os.environ.get("LOANLAKE_TEST_NGINX")) or shutil.which("nginx")
    if found is None:
        pytest.skip("nginx is neither on the PATH nor in LOANLAKE_TEST_NGINX: Debian's package nginx has it")
    return found


def _certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    (folder / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "tls.key").write_bytes(key.private_bytes(pem, pkcs8, plain))


def _configure(folder: Path, places: Mapping[str, str]) -> Path:
    """The committed files with this test's addresses; each must be named in one of them."""
    texts = {path.name: path.read_text() for path in DEPLOY.glob("*.conf")}
    for written, used in places.items():
        assert any(written in text for text in texts.values()), written
        texts = {name: text.replace(written, used) for name, text in texts.items()}
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "pages").mkdir()
    (folder / "pages" / "htpasswd").write_text("anna:{PLAIN}secret\n")
    _certificate(folder / "tls")
    return folder / "nginx.conf"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    program, folder = _program(), tmp_path_factory.mktemp("nginx")
    home = furnish(Settings.from_environment({"LOANLAKE_HOME": str(folder / "home")}))
    port, pages, mlflow = free_port(), free_port(), free_port()
    with running(home, folder / "api-1.log") as first, running(home, folder / "api-2.log") as second:
        conf = folder / "conf"
        conf.mkdir()
        addresses = {"api-1:8000": f"127.0.0.1:{first.port}", "api-2:8000": f"127.0.0.1:{second.port}"}
        nothing = {"dagster-webserver:3000": "127.0.0.1:9", "mlflow:5000": "127.0.0.1:9"}
        listen = {"listen 8443": f"listen 127.0.0.1:{port}", "listen 3443": f"listen 127.0.0.1:{pages}"}
        listen["listen 5443"] = f"listen 127.0.0.1:{mlflow}"
        written = {" /tmp/": f" {folder}/", "/etc/nginx/": f"{conf}/", "worker_processes auto": "worker_processes 1"}
        config = _configure(conf, {**written, **addresses, **nothing, **listen})
        # in the image it is not root; here its worker must read the test's folder
        user = "user root; " if os.geteuid() == 0 else ""
        command = [program, "-p", str(folder), "-c", str(config), "-g", f"{user}daemon off;"]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        with (folder / "nginx.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        found = Proxy(home, (first, second), port, pages, mlflow)
        try:
            _wait(found, folder / "nginx.log")
            yield found
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait(proxy: Proxy, log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            if proxy.ask("GET", "/v1/model", headers=proxy.home.headers).status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())


def _score(proxy: Proxy, connection: http.client.HTTPSConnection, name: str, *, key: bool) -> int:
    headers = proxy.home.headers | {"Content-Type": "application/json"} | ({"Idempotency-Key": name} if key else {})
    try:
        connection.request("POST", "/v1/scores", json.dumps(APPLICATION | {"application_id": name}), headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0
    return answer.status


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/healthz"])
def test_what_only_the_inside_may_ask_is_not_there(proxy: Proxy, path: str) -> None:
    assert proxy.ask("GET", path).status == 404


def test_a_body_above_the_apis_limit_stops_at_the_proxy(proxy: Proxy) -> None:
    limits = ServingOptions()
    headers = proxy.home.headers | {"Content-Type": "application/json"}

    score = proxy.ask("POST", "/v1/scores", b" " * (limits.body_bytes + 1), headers)
    batch = proxy.ask("POST", "/v1/batches", b" " * (limits.body_bytes + 1), headers)
    with_key = proxy.ask("POST", "/v1/batches", b" " * (limits.body_bytes + 1), headers | {"Idempotency-Key": "b"})

    # a batch of that size gets there, and the API finds that it is no JSON
    assert [score.status, batch.status, with_key.status] == [413, 400, 400]
    assert b"nginx" in score.body


@pytest.mark.parametrize("kind", ["pages", "mlflow"])
def test_a_page_wants_a_password_and_no_other_site(proxy: Proxy, kind: str) -> None:
    port = getattr(proxy, kind)
    anna = {"Authorization": "Basic YW5uYTpzZWNyZXQ="}

    statuses = [
        proxy.ask("GET", "/", port=port).status,
        proxy.ask("GET", "/", headers=anna, port=port).status,
        proxy.ask("GET", "/", headers=anna | {"Origin": f"https://127.0.0.1:{port}"}, port=port).status,
        proxy.ask("GET", "/", headers=anna | {"Origin": "https://elsewhere.example"}, port=port).status,
        proxy.ask("POST", "/graphql", b"a=1", anna | {"Origin": f"https://127.0.0.1:{port}"}, port).status,
    ]

    # 502: passed on, to where nothing listens here
    assert statuses == [401, 502, 502, 403, 415]


def test_mlflow_is_read_only_and_dagster_takes_no_query_by_address(proxy: Proxy) -> None:
    own = {"Authorization": "Basic YW5uYTpzZWNyZXQ=", "Content-Type": "application/json"}
    change, search = "/api/2.0/mlflow/runs/create", "/api/2.0/mlflow/runs/search"
    origin = own | {"Origin": f"https://127.0.0.1:{proxy.pages}"}

    statuses = [
        proxy.ask("POST", change, b"{}", own, proxy.mlflow).status,
        proxy.ask("POST", search, b"{}", own, proxy.mlflow).status,
        proxy.ask("GET", "/graphql?%71uery=mutation", b"", own, proxy.pages).status,
        proxy.ask("POST", "/graphql", b"{}", own, proxy.pages).status,
        proxy.ask("POST", "/graphql", b"{}", origin, proxy.pages).status,
    ]

    assert statuses == [403, 502, 405, 403, 502]


def test_only_requests_in_flight_without_a_key_fail_when_an_api_is_killed(proxy: Proxy) -> None:
    """Half of the callers send an Idempotency-Key; the last test, since one API is gone after it."""
    sent, lock = [0], threading.Lock()

    def call(caller: int) -> list[tuple[str, int]]:
        connection, found = proxy.connect(), []
        for turn in range(N_SCORES_EACH):
            name = f"{'key' if caller % 2 else 'plain'}-{caller}-{turn}"
            found.append((name, _score(proxy, connection, name, key=caller % 2 == 1)))
            with lock:
                sent[0] += 1
                is_time = sent[0] == N_CALLERS * N_SCORES_EACH // 3
            if is_time:
                proxy.apis[0].process.kill()
        connection.close()
        return found

    with ThreadPoolExecutor(N_CALLERS) as pool:
        answers = dict(answer for found in pool.map(call, range(N_CALLERS)) for answer in found)

    failed = {name: status for name, status in answers.items() if status != 200}
    assert {name for name in failed if name.startswith("key")} == set()
    assert len(failed) <= N_CALLERS // 2
    assert set(failed.values()) <= {502}
    with sqlite3.connect(proxy.home.settings.outbox) as con:
        decided = Counter(
            msgspec.msgpack.decode(payload)["application_id"]
            for (payload,) in con.execute("select payload from decisions")
        )
    # none answered is missing, none with a key was decided twice
    assert {name for name, status in answers.items() if status == 200} <= decided.keys()
    assert {n for name, n in decided.items() if name.startswith(("key", "plain"))} == {1}
