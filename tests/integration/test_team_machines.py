"""Two API machines of a team: two servers with homes of their own, on one PostgreSQL, Redis and object store.

The tests run in the order they are written in; the last one kills a machine.
"""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from serving.access.keys import KeyStore
from tests import serving_process, team_servers
from tests.model_factory import publish_model
from tests.serving_home import APPLICATION, ServingHome, furnish
from warehouse import decision_log
from warehouse.batches import BatchStates
from warehouse.lake.connection import connect
from warehouse.people.person import find_person
from warehouse.settings import Settings
from warehouse.team.machines import machines

pytestmark = pytest.mark.slow

A, B = 0, 1


@dataclass
class Team:
    """A worker, which publishes and drains, and two API machines."""

    worker: Settings
    key: str
    homes: list[ServingHome]
    servers: list[serving_process.Server]
    environment: dict[str, str]

    def ask(
        self, machine: int, method: str, path: str, body: object = None, *, key: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.servers[machine].port, timeout=60)
        sent = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"} | headers
        connection.request(method, path, json.dumps(body) if body is not None else None, sent)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text.startswith((b"{", b"[")) else text

    def score(self, machine: int, application_id: str, **options: Any) -> Any:
        body = APPLICATION | {"application_id": application_id}
        status, answer = self.ask(machine, "POST", "/v1/scores", body, **options)
        assert status == 200, answer
        return answer

    def version(self, machine: int) -> int:
        status, answer = self.ask(machine, "GET", "/v1/model")
        assert status == 200, answer
        return int(answer["version"])


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    with pytest.MonkeyPatch.context() as patch, team_servers.servers(folder / "moto.log") as variables:
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setenv("LOANLAKE_HOME", str(folder / "worker"))
        worker = Settings.from_environment()
        serving = furnish(worker)
        key = KeyStore.of(worker).create("team", ["admin"], rate_limit=10_000_000)
        homes, servers = [], []
        with ExitStack() as stack:
            for name in ("a", "b"):
                patch.setenv("LOANLAKE_HOME", str(folder / name))
                patch.setenv("LOANLAKE_MACHINE", name)
                home = ServingHome(Settings.from_environment(), serving.key)
                homes.append(home)
                servers.append(stack.enter_context(serving_process.running(home, folder / f"{name}.log")))
            yield Team(worker, key, homes, servers, variables)


def wait_until(is_so: Callable[[], bool], *, seconds: float, why: str) -> None:
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s: {why}")


def test_both_machines_score_alike(team: Team) -> None:
    answers = [team.score(machine, "alike") for machine in (A, B)]

    assert answers[A]["probability"] == answers[B]["probability"]
    assert answers[A]["status"] == answers[B]["status"] == "scored"
    assert answers[A]["decision_id"] != answers[B]["decision_id"]


def test_a_decision_of_one_machine_is_found_on_the_other(team: Team) -> None:
    decision_id = team.score(A, "looked-up")["decision_id"]

    wait_until(lambda: team.ask(B, "GET", f"/v1/decisions/{decision_id}")[0] == 200, seconds=2, why="handed over by A")


def test_a_request_repeated_on_the_other_machine_gets_the_first_decision(team: Team) -> None:
    first = team.score(A, "once", **{"Idempotency-Key": "one"})

    again = team.score(B, "once", **{"Idempotency-Key": "one"})

    assert again["decision_id"] == first["decision_id"]
    status, problem = team.ask(
        B, "POST", "/v1/scores", APPLICATION | {"application_id": "another"}, **{"Idempotency-Key": "one"}
    )
    assert (status, problem["status"]) == (422, 422)


def test_a_rate_limit_is_exact_over_both(team: Team) -> None:
    key = KeyStore.of(team.worker).create("hurried", ["score"], rate_limit=10)
    wait_until(
        lambda: all(team.ask(machine, "GET", "/v1/model", key=key)[0] != 401 for machine in (A, B)),
        seconds=2,
        why="a new key reaches both machines",
    )

    statuses = [
        team.ask(number % 2, "POST", "/v1/scores", APPLICATION | {"application_id": f"r{number}"}, key=key)[0]
        for number in range(14)
    ]

    n_left = statuses.index(429)
    assert set(statuses[:n_left]) == {200}
    assert set(statuses[n_left:]) == {429}
    assert 4 <= n_left <= 8  # those above asked for the model, and count too


def test_a_swap_reaches_both_within_two_seconds(team: Team) -> None:
    publish_model(team.worker, version=2, seed=8)

    wait_until(lambda: team.version(A) == team.version(B) == 2, seconds=2, why="both serve version 2")

    publish_model(team.worker, version=1)
    wait_until(lambda: team.version(A) == team.version(B) == 1, seconds=2, why="both serve version 1 again")


def test_a_batch_sent_to_one_machine_is_scored_by_the_worker_and_given_out_by_the_other(team: Team) -> None:
    from ml.batches.runs import run_batch

    status, sent = team.ask(A, "POST", "/v1/batches", {"applications": [APPLICATION]})
    assert status == 202, sent

    done = run_batch(team.worker, sent["batch_id"], run_id="tests")

    assert done is not None
    assert (done.state, done.n_scored) == ("succeeded", 1), done.reason
    status, results = team.ask(B, "GET", f"/v1/batches/{sent['batch_id']}/results")
    assert status == 200, results
    assert BatchStates(team.worker).count("succeeded") == 1


def test_any_worker_drains_what_both_handed_over(team: Team) -> None:
    decision_log.ingest_into_lake(team.worker)
    made = [team.score(machine, f"drained-{machine}")["decision_id"] for machine in (A, B)]
    wait_until(lambda: decision_log.count_pending(team.worker) == 2, seconds=3, why="both handed their decision over")

    gained = decision_log.ingest_into_lake(team.worker)

    assert gained.n_decisions == 2
    assert decision_log.ingest_into_lake(team.worker).n_decisions == 0
    with connect(team.worker) as con:
        rows = con.execute("select decision_id from serving.predictions where list_contains($1, decision_id)", [made])
        assert {decision_id for (decision_id,) in rows.fetchall()} == set(made)
    assert team.ask(B, "GET", f"/v1/decisions/{made[A]}")[0] == 200


def test_a_person_is_found_on_the_server_before_the_lake_has_them(team: Team) -> None:
    decision_id = team.score(A, "of-a-person")["decision_id"]
    wait_until(lambda: decision_log.count_pending(team.worker) == 1, seconds=3, why="handed over")

    with connect(team.worker) as con:
        person = find_person(team.worker, con, APPLICATION["borrower_id"])

    assert decision_id in person.decision_ids


def test_no_password_is_in_a_log_or_the_list_of_processes(team: Team) -> None:
    secrets = (team_servers.PASSWORD.encode(), team.environment["AWS_SECRET_ACCESS_KEY"].encode())
    commands = [Path(f"/proc/{server.process.pid}/cmdline").read_bytes() for server in team.servers]
    logs = [server.log.read_bytes() for server in team.servers]

    shown = [secret for secret in secrets for text in (*commands, *logs) if secret in text]

    assert all(b"serve" in command for command in commands)
    assert shown == []


def test_a_machine_killed_while_the_server_is_away_loses_nothing_that_its_disk_holds(
    team: Team, tmp_path: Path
) -> None:
    """PostgreSQL refuses this team's connections: decisions stay on the disk of A, which is then killed."""
    decision_log.ingest_into_lake(team.worker)
    with server_away(team):
        made = {team.score(A, f"kept-{number}")["decision_id"] for number in range(5)}
        team.servers[A].process.kill()
        team.servers[A].process.wait(timeout=30)
    assert decision_log.count_pending(team.worker) == 0
    wait_until(
        lambda: {each.machine: each.seconds_silent > 1 for each in machines(team.worker)}.get("a", False),
        seconds=10,
        why="A is silent",
    )

    with serving_process.running(
        team.homes[A], tmp_path / "again.log", environment={"LOANLAKE_MACHINE": "a"}, port=team.servers[A].port
    ):
        wait_until(lambda: decision_log.count_pending(team.worker) == 5, seconds=10, why="A hands over what it kept")
        decision_log.ingest_into_lake(team.worker)

    with connect(team.worker) as con:
        rows = con.execute("select decision_id from serving.predictions").fetchall()
    assert made <= {decision_id for (decision_id,) in rows}


@contextmanager
def server_away(team: Team) -> Iterator[None]:
    """The database accepts no connection meanwhile, and those of the machines are ended."""
    catalog = team.environment["LOANLAKE_CATALOG"].removeprefix("postgres:")
    name = psycopg.conninfo.conninfo_to_dict(catalog)["dbname"]
    with psycopg.connect(team_servers.SERVER, autocommit=True) as server:
        server.execute(f'alter database "{name}" allow_connections false')
        server.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        try:
            yield
        finally:
            server.execute(f'alter database "{name}" allow_connections true')
