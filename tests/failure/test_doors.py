"""`loanlake up` for real: which ports are open, and what its pages refuse and allow."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.free_ports import free_port

pytestmark = pytest.mark.extended

MUTATION = 'mutation { startSchedule(scheduleSelector: {%s, scheduleName: "daily_refresh"}) { __typename } }'
STATE = '{ scheduleOrError(scheduleSelector: {%s, scheduleName: "daily_refresh"}) { ... on Schedule %s } }'
OURS = 'repositoryName: "__repository__", repositoryLocationName: "loanlake"'


@dataclass
class Up:
    """The running command, where its pages are, and a client of a person who is signed in."""

    process: subprocess.Popen[str]
    ports: dict[str, int]
    said: str
    person: httpx.Client

    def url(self, page: str) -> str:
        return f"http://127.0.0.1:{self.ports[page]}"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Over an empty home, once everything is ready."""
    home = tmp_path_factory.mktemp("up")
    ports = {page: free_port() for page in ("dagster", "api", "mlflow", "reports")}
    log = home.with_suffix(".log")
    options = [text for page, port in ports.items() for text in (f"--{page}-port", str(port))]
    with log.open("w") as said:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("loanlake")), "up", *options],
            env={**os.environ, "LOANLAKE_HOME": str(home)},
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        deadline = time.monotonic() + 300
        while "all ready" not in log.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
        said_text = log.read_text()
        assert "all ready" in said_text, said_text
        with httpx.Client(timeout=60) as person:
            [link] = re.findall(r"^sign in +(\S+)$", said_text, re.MULTILINE)
            assert person.get(link).status_code == 303
            yield Up(process, ports, said_text, person)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def graphql(up: Up, query: str) -> httpx.Response:
    return up.person.post(f"{up.url('dagster')}/graphql", json={"query": query}, headers={"Origin": up.url("dagster")})


def schedule_status(up: Up) -> str:
    answer = graphql(up, STATE % (OURS, "{ scheduleState { status } }"))
    return str(answer.json()["data"]["scheduleOrError"]["scheduleState"]["status"])


def _listening(root: int) -> set[int]:
    """TCP ports on which the process, or any that it started, listens."""
    children: dict[int, set[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), set()).add(int(stat.parent.name))
    family, found = {root}, {root}
    while found:
        found = set().union(*(children.get(process, set()) for process in found)) - family
        family |= found
    inodes = set()
    for process in family:
        for descriptor in Path(f"/proc/{process}/fd").glob("*"):
            try:
                inodes.add(str(descriptor.readlink()))
            except FileNotFoundError:
                continue
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    listening = [line for table in tables for line in map(str.split, table) if line[3] == "0A"]
    return {int(line[1].rpartition(":")[2], 16) for line in listening if f"socket:[{line[9]}]" in inodes}


def test_no_port_is_open_but_those_that_are_named(up: Up) -> None:
    """Behind a second port, Dagster or MLflow would have no door."""
    assert _listening(up.process.pid) == set(up.ports.values())


def test_it_says_when_decisions_begin_to_become_rows(up: Up) -> None:
    assert re.search(r"waiting for Dagster daemon.*\nDagster daemon +runs: decisions become rows", up.said)


def test_a_mutation_in_an_address_starts_nothing(up: Up) -> None:
    before = schedule_status(up)

    answers = [
        up.person.get(f"{up.url('dagster')}/graphql", params={"query": MUTATION % OURS}, headers=headers)
        for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"})
    ]

    assert [answer.status_code for answer in answers] == [405, 403, 403]
    assert (before, schedule_status(up)) == ("STOPPED", "STOPPED")


def test_nobody_else_reads_a_page(up: Up) -> None:
    assert [httpx.get(up.url(page)).status_code for page in ("dagster", "mlflow", "reports")] == [401] * 3


def test_a_signed_in_person_reads_each_page_and_changes_nothing_in_mlflow(up: Up) -> None:
    assert [up.person.get(up.url(page)).status_code for page in ("dagster", "mlflow", "reports")] == [200] * 3
    own = {"Origin": up.url("mlflow")}

    found = up.person.post(
        f"{up.url('mlflow')}/ajax-api/2.0/mlflow/experiments/search", json={"max_results": 5}, headers=own
    )
    refused = up.person.post(
        f"{up.url('mlflow')}/ajax-api/2.0/mlflow/experiments/create", json={"name": "mine"}, headers=own
    )

    assert (found.status_code, refused.status_code) == (200, 403)
    assert [each["name"] for each in json.loads(found.text)["experiments"]] == ["Default"]


def test_a_person_starts_a_schedule_from_the_page(up: Up) -> None:
    assert graphql(up, MUTATION % OURS).status_code == 200
    assert schedule_status(up) == "RUNNING"
