"""The decision log's file after a power cut or a mistake: nothing committed is lost, or the API reports it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.decisions.freshness import HistoryPolicy
from serving.app import create_app
from serving.options import ServingOptions
from tests.serving_home import APPLICATION, ServingHome, furnish
from warehouse import decision_log
from warehouse.errors import OutboxError
from warehouse.settings import Settings

N = 20
#: Scores, one transaction each, and ends as a process does that is killed: the journal stays beside the file.
SCORING = """
import os, signal, sys
from litestar.testing import TestClient
from serving.app import create_app
from tests.serving_home import APPLICATION
with TestClient(create_app()) as client:
    for number in range(int(sys.argv[2])):
        answer = client.post("/v1/scores", json=APPLICATION, headers={"X-API-Key": sys.argv[1]})
        print(answer.json()["decision_id"], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[ServingHome, list[str]]:
    """A home whose API was killed, and what it had answered; none of it has left the journal for the file proper."""
    path = tmp_path_factory.mktemp("killed") / "home"
    serving_home = furnish(Settings.from_environment({"LOANLAKE_HOME": str(path)}))
    done = subprocess.run(
        [sys.executable, "-c", SCORING, serving_home.key, str(N)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": ".", "LOANLAKE_HOME": str(path)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return serving_home, done.stdout.split()


@pytest.fixture
def serving_home(killed: tuple[ServingHome, list[str]], home: Settings) -> ServingHome:
    """A copy for one test."""
    shutil.copytree(killed[0].settings.home, home.home, dirs_exist_ok=True)
    return ServingHome(home, killed[0].key)


@pytest.fixture
def answered(killed: tuple[ServingHome, list[str]]) -> list[str]:
    return killed[1]


def journal(settings: Settings) -> Path:
    return Path(f"{settings.outbox}-wal")


def garbage_after_the_journal(settings: Settings) -> None:
    with journal(settings).open("ab") as file:
        file.write(os.urandom(5_000))


def garbage_after_the_file(settings: Settings) -> None:
    with settings.outbox.open("ab") as file:
        file.write(os.urandom(5_000))


def garbage_in_the_index(settings: Settings) -> None:
    Path(f"{settings.outbox}-shm").write_bytes(os.urandom(32_768))


def half_a_transaction(settings: Settings) -> None:
    """The machine stopped while one was being written: no caller was answered for it."""
    place = settings.outbox.parent
    committed = {path: path.read_bytes() for path in place.iterdir()}
    with closing(decision_log.create(settings)) as outbox:
        outbox.execute("insert into decisions (id, appended_at, payload) values ('torn', 0, zeroblob(20000))")
        whole = journal(settings).read_bytes()
    for path, content in committed.items():
        path.write_bytes(content)
    n_bytes = len(committed[journal(settings)])
    journal(settings).write_bytes(whole[: n_bytes + (len(whole) - n_bytes) // 2])


@pytest.mark.parametrize(
    "damage",
    [garbage_after_the_journal, garbage_after_the_file, garbage_in_the_index, half_a_transaction],
    ids=lambda damage: damage.__name__,
)
def test_what_a_power_cut_leaves_costs_no_decision(
    serving_home: ServingHome, answered: list[str], damage: Callable[[Settings], None]
) -> None:
    damage(serving_home.settings)

    with api(serving_home) as client:
        ready = client.get("/readyz").json()
        found = [client.get(f"/v1/decisions/{decision_id}").status_code for decision_id in answered]
        after = client.post("/v1/scores", json=APPLICATION)

    assert ready["status"] == "ready"
    assert (len(found), set(found), after.status_code) == (N, {200}, 200)
    assert decision_log.ingest_into_lake(serving_home.settings).n_decisions == N + 1


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_a_lost_file_is_named_and_its_journal_kept(serving_home: ServingHome, answered: list[str], left: str) -> None:
    """SQLite would take the journal of a missing or empty file away, and with it every decision of the last minutes."""
    outbox = serving_home.settings.outbox
    aside = outbox.rename(outbox.with_suffix(".aside"))
    if left == "an empty file":
        outbox.touch()

    with api(serving_home) as client:
        ready, score = client.get("/readyz"), client.post("/v1/scores", json=APPLICATION)
        with pytest.raises(OutboxError, match="put the file back"):
            decision_log.ingest_into_lake(serving_home.settings)
        aside.replace(outbox)
        ready_again = client.get("/readyz")

    assert (ready.status_code, score.status_code, ready_again.status_code) == (503, 503, 200)
    assert f"{outbox.name} is missing or empty" in ready.json()["reasons"][0]
    assert decision_log.ingest_into_lake(serving_home.settings).n_decisions == len(answered)


def test_a_file_that_is_no_database_any_more_is_named_and_not_replaced(serving_home: ServingHome) -> None:
    outbox = serving_home.settings.outbox
    with api(serving_home):
        pass  # ends well: the journal is in the file
    damaged = os.urandom(4096) + outbox.read_bytes()[4096:]
    outbox.write_bytes(damaged)

    with api(serving_home) as client:
        ready, score = client.get("/readyz"), client.post("/v1/scores", json=APPLICATION)

    assert (ready.status_code, score.status_code) == (503, 503)
    assert ready.json()["reasons"] == [
        f"the decision log serving/{outbox.name} cannot be written: file is not a database"
    ]
    assert outbox.read_bytes() == damaged


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_a_file_taken_away_under_a_running_api_is_noticed(serving_home: ServingHome, replaced: bool) -> None:
    """Prevents SQLite from writing to a deleted file, and decisions from being lost after they were answered."""
    outbox = serving_home.settings.outbox
    with api(serving_home) as client:
        first = client.post("/v1/scores", json=APPLICATION)
        aside = outbox.rename(outbox.with_suffix(".aside"))
        if replaced:
            outbox.write_bytes(aside.read_bytes())
        score, ready = client.post("/v1/scores", json=APPLICATION), client.get("/readyz")
        aside.replace(outbox)
        again, ready_again = client.post("/v1/scores", json=APPLICATION), client.get("/readyz")

    assert [answer.status_code for answer in (first, score, again)] == [200, 503, 200]
    assert (ready.status_code, ready_again.status_code) == (503, 200)
    assert "was removed or replaced while the API wrote to it" in ready.json()["reasons"][0]
    assert decision_log.ingest_into_lake(serving_home.settings).n_decisions == N + 2


@contextmanager
def api(serving_home: ServingHome) -> Iterator[TestClient[Litestar]]:
    app = create_app(serving_home.settings, ServingOptions(history=HistoryPolicy(max_age=None)))
    with TestClient(app, raise_server_exceptions=False) as client:
        client.headers.update(serving_home.headers)
        yield client
