"""The API as a process of its own, under load on loopback: killed, stopped, and given a new model."""

import http.client
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from ml.decisions.replay import replay
from serving.access.keys import KeyStore
from tests.model_factory import publish_model
from tests.second_version import MORE, challenge_with_second
from tests.serving_home import APPLICATION, RISKY, ServingHome, furnish
from tests.serving_process import Server, running
from warehouse import decision_log
from warehouse.lake.connection import connect
from warehouse.settings import Settings

CONNECTIONS = 8


@dataclass
class Answers:
    """What all connections of a load were told."""

    statuses: Counter[int] = field(default_factory=Counter)
    decision_ids: list[str] = field(default_factory=list)
    versions: Counter[int] = field(default_factory=Counter)
    n_cut_off: int = 0


@pytest.fixture
def serving_home(home: Settings) -> ServingHome:
    return furnish(home)


def load(server: Server, serving_home: ServingHome, stop: Event, applications: Sequence[object]) -> Answers:
    """Requests on one connection, one after another, until told to stop or cut off."""
    answers = Answers()
    headers = serving_home.headers | {"Content-Type": "application/json"}
    bodies = [json.dumps(application) for application in applications]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    while not stop.is_set():
        try:
            connection.request("POST", "/v1/scores", bodies[len(answers.decision_ids) % len(bodies)], headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            answers.n_cut_off += 1
            break
        answers.statuses[response.status] += 1
        if response.status == 200:
            answers.decision_ids.append(answer["decision_id"])
            answers.versions[answer["model"]["version"]] += 1
    connection.close()
    return answers


@contextmanager
def under_load(
    server: Server, serving_home: ServingHome, applications: Sequence[object] = (APPLICATION, RISKY)
) -> Iterator[Answers]:
    """Load on all connections while the block runs; the answers are complete after it."""
    stop, total = Event(), Answers()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        loads = [threads.submit(load, server, serving_home, stop, applications) for _ in range(CONNECTIONS)]
        try:
            yield total
        finally:
            stop.set()
    for finished in loads:
        answers = finished.result()
        total.statuses += answers.statuses
        total.versions += answers.versions
        total.decision_ids += answers.decision_ids
        total.n_cut_off += answers.n_cut_off


def test_every_answered_decision_survives_kill_9_and_reaches_the_lake_once(
    serving_home: ServingHome, tmp_path: Path
) -> None:
    with running(serving_home, tmp_path / "log") as server, under_load(server, serving_home) as answers:
        time.sleep(1.5)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()

    assert set(answers.statuses) == {200}
    assert len(answers.decision_ids) >= CONNECTIONS
    first = decision_log.ingest_into_lake(serving_home.settings)
    again = decision_log.ingest_into_lake(serving_home.settings)
    con = connect(serving_home.settings)
    rows = con.execute("select decision_id, count(*) from serving.predictions group by all").fetchall()
    con.close()
    assert set(answers.decision_ids) <= {decision_id for decision_id, _ in rows}
    assert {n for _, n in rows} == {1}
    assert (first.n_decisions, again.n_decisions) == (len(rows), 0)


def test_a_new_model_is_swapped_in_without_a_failed_request(serving_home: ServingHome, tmp_path: Path) -> None:
    with running(serving_home, tmp_path / "log") as server, under_load(server, serving_home) as answers:
        time.sleep(0.5)
        for version, seed in ((2, 11), (3, 7)):
            publish_model(serving_home.settings, version=version, seed=seed)
            _wait_for_version(server, version)
        time.sleep(0.3)

    assert set(answers.statuses) == {200}
    assert answers.n_cut_off == 0
    assert set(answers.versions) == {1, 2, 3}


def test_a_challenge_begins_grows_and_ends_without_a_failed_request(serving_home: ServingHome, tmp_path: Path) -> None:
    """First in shadow, so that callers may send what the challenger needs before any of them is answered by it.

    The champion is of trees, the challenger a logistic regression; the decisions of both replay equal.
    """
    settings = serving_home.settings
    challenge_with_second(settings)
    bodies = [APPLICATION | MORE | {"borrower_id": f"b-{number}"} for number in range(8)]
    with (
        running(serving_home, tmp_path / "log", workers=2) as server,
        under_load(server, serving_home, bodies) as answers,
    ):
        for share in (0.3, 0.9, None):
            time.sleep(0.8)
            challenge_with_second(settings, share=share)
        time.sleep(0.8)

    assert set(answers.statuses) == {200}
    assert answers.n_cut_off == 0
    assert set(answers.versions) == {1, 2}
    taken = decision_log.ingest_into_lake(settings)
    assert taken.n_decisions == len(answers.decision_ids)
    assert 0 < taken.n_shadows < taken.n_decisions
    with connect(settings) as con:
        some = con.execute(
            "select decision_id from serving.predictions qualify row_number() over (partition by model_version) <= 3"
        ).fetchall()
    assert [replay(settings, decision_id).equal for (decision_id,) in some] == [True] * 6


def test_an_applicant_keeps_their_version_over_workers_and_restarts(serving_home: ServingHome, tmp_path: Path) -> None:
    challenge_with_second(serving_home.settings, share=0.5)
    bodies = [APPLICATION | MORE | {"borrower_id": f"b-{number}"} for number in range(8)]
    seen: list[list[int]] = []
    for start in range(2):
        with running(serving_home, tmp_path / f"log-{start}", workers=2) as server:
            for _ in range(3):  # each on a connection of its own, so that both workers are asked
                answers = [server.request("POST", "/v1/scores", body, serving_home.headers) for body in bodies]
                seen.append([answer["model"]["version"] for answer in answers if isinstance(answer, dict)])

    assert set(seen[0]) == {1, 2}
    assert all(versions == seen[0] for versions in seen)


def test_a_clean_stop_answers_what_it_began(serving_home: ServingHome, tmp_path: Path) -> None:
    with running(serving_home, tmp_path / "log") as server, under_load(server, serving_home) as answers:
        time.sleep(0.5)
        server.process.terminate()
        assert server.process.wait(timeout=20) == -signal.SIGTERM, "uvicorn ends by the signal it was sent"

    assert set(answers.statuses) == {200}
    logged = decision_log.count_pending(serving_home.settings)
    assert logged == len(answers.decision_ids), "nothing was decided that was not answered"


def test_two_workers_share_one_log_and_add_up_their_counts(serving_home: ServingHome, tmp_path: Path) -> None:
    with running(serving_home, tmp_path / "log", workers=2) as server:
        with under_load(server, serving_home) as answers:
            time.sleep(1.0)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read().decode()

    assert set(answers.statuses) == {200}
    assert decision_log.count_pending(serving_home.settings) == len(answers.decision_ids)
    counted = [line for line in metrics.splitlines() if line.startswith("loan_predictions_total")]
    assert sum(float(line.rpartition(" ")[2]) for line in counted) == len(answers.decision_ids)
    counters = serving_home.settings.counters / str(server.port)
    assert not counters.exists()  # a link: what it named lies in memory, and is gone with the server


def test_a_served_decision_replays_to_the_bit(serving_home: ServingHome, tmp_path: Path) -> None:
    with running(serving_home, tmp_path / "log") as server:
        answer = server.request("POST", "/v1/scores", RISKY, serving_home.headers)

    assert isinstance(answer, dict)
    assert replay(serving_home.settings, answer["decision_id"]).equal


#: What no line of the log may hold: each was sent somewhere below.
PLANTED = ("jane-doe", "78051", "90000", "471199", "98765", "planted", "0a1b2c3d", "078-05-1120")


def test_a_server_says_no_applicants_data_in_its_log(serving_home: ServingHome, tmp_path: Path) -> None:
    """With a line for every request, of those that go well and of each kind that does not."""
    log, path = tmp_path / "log", "/v1/scores"
    person = RISKY | {"application_id": "planted-1", "borrower_id": "jane-doe"}
    broken = person | {"annual_income": "471199", "planted_field": 78051, "term_months": 98765}
    outcome = {"application_id": "planted-1", "is_default": "jane-doe", "outcome_at": "471199", "loss_amount": -98765}
    key = serving_home.headers
    of_batches = {"Authorization": f"Bearer {KeyStore(serving_home.settings.keys).create('batches', ['batch'])}"}
    csv = of_batches | {"Content-Type": "text/csv"}
    lines = b"application_id,borrower_id,requested_amount,term_months,purpose\nplanted-1,jane-doe,78051,36,boat\n"
    requests: list[tuple[str, str, object, dict[str, str], int]] = [
        ("POST", path, person, key, 200),
        ("POST", path, person, key | {"Idempotency-Key": "planted-key"}, 200),
        ("POST", path, person | {"requested_amount": 78051}, key | {"Idempotency-Key": "planted-key"}, 422),
        ("POST", path, broken, key, 400),
        ("POST", path, "jane-doe 78051", key, 400),
        ("POST", path, person, key | {"Content-Type": "text/csv; planted=471199"}, 415),
        ("POST", path, person, {"Authorization": "Bearer planted-0a1b2c3d"}, 401),
        ("POST", path, person, {"Authorization": "Basic planted:0a1b2c3d"}, 401),
        ("POST", f"{path}/batch", {"applications": [person, broken, "jane-doe"]}, key, 200),
        ("POST", f"{path}/batch", {"planted": [person]}, key, 400),
        ("POST", "/v1/batches", lines, csv, 202),
        ("POST", "/v1/batches", b"planted,78051,471199\n", csv, 400),
        ("POST", "/v1/batches", {"applications": [broken], "planted": "jane-doe"}, of_batches, 400),
        ("POST", "/v1/outcomes", outcome, key, 400),
        ("GET", "/v1/decisions/planted-jane-doe", None, key, 404),
        ("GET", "/planted/jane-doe?annual_income=471199", None, key, 404),
        ("GET", "/healthz", None, {"X-Request-ID": "078-05-1120", "traceparent": "00-planted-jane-doe-01"}, 200),
    ]
    with running(serving_home, log, environment={"LOANLAKE_ACCESS_LOG": "all"}) as server:
        statuses = [status_of(server, *request[:-1]) for request in requests]

    assert statuses == [request[-1] for request in requests]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [line["status"] for line in lines if line["event"] == "request" and line["route"] != "/readyz"]
    assert told == statuses
    # as a value of its own: ids, times and ports are digits too
    text = log.read_text()
    assert not [word for word in (*PLANTED, serving_home.key) if re.search(rf"(?<![0-9a-z.]){word}(?![0-9a-z])", text)]


def status_of(server: Server, method: str, path: str, body: object, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    sent = body if isinstance(body, bytes) else json.dumps(body)
    connection.request(method, path, sent, {"Content-Type": "application/json"} | headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def _wait_for_version(server: Server, version: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = server.request("GET", "/readyz")
        assert isinstance(answer, dict)
        if answer["lenders"]["simulated"]["model"]["version"] == version:
            return
        time.sleep(0.05)
    raise AssertionError(f"version {version} was not served within 30 s")
