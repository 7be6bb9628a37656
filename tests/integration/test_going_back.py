"""A champion that fails on purpose, in a running API: service goes back by itself, and callers are answered again."""

import http.client
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest

from ml.bundle.bundle import load_bundle
from ml.rollout.promotion import publish
from orchestration.defs.serving.assets import champion_watch, deployment_changes
from orchestration.defs.serving.sensors import champion_to_leave
from tests.altered_bundle import fail_on_everybody
from tests.lender_jobs import lender_jobs
from tests.model_factory import SOURCE, register_model, shared_bundle
from tests.serving_home import APPLICATION, ServingHome, furnish, until_ready_says
from tests.serving_process import Server, running
from warehouse.decision_log import ingest_into_lake
from warehouse.lake.connection import connect
from warehouse.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def ask(server: Server, serving_home: ServingHome, n: int, of: str) -> Counter[tuple[int, int | None]]:
    """Statuses and versions of so many answers, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    headers = serving_home.headers | {"Content-Type": "application/json"}
    found: Counter[tuple[int, int | None]] = Counter()
    for number in range(n):
        body = json.dumps(APPLICATION | {"application_id": f"{of}-{number}"})
        connection.request("POST", "/v1/scores", body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        found[response.status, answer.get("model", {}).get("version")] += 1
    connection.close()
    return found


def until_served(server: Server, version: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        until_ready_says(client, lambda answer: answer["lenders"][SOURCE]["model"]["version"] == version)


def judge(instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    with dg.build_sensor_context(instance=instance, repository_def=lender_jobs()) as context:
        return list(champion_to_leave.evaluate_tick(context).run_requests or [])


def test_a_champion_that_fails_makes_way_and_is_not_tried_again(
    home: Settings, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's alias follows as after a person's rollback: tests/integration/test_registry.py."""
    monkeypatch.setattr("ml.registry.registry.set_champion", lambda *_: None)
    serving_home = furnish(home)
    failing = tmp_path / "failing"
    shutil.copytree(shared_bundle(seed=8).directory, failing)
    fail_on_everybody(failing)
    second = register_model(home, load_bundle(failing), version=2)

    with running(serving_home, tmp_path / "log") as server:
        of_first = ask(server, serving_home, 120, "first")
        ingest_into_lake(home)
        publish(home, second, by="someone")
        until_served(server, 2)
        of_second = ask(server, serving_home, 150, "second")
        before_ingestion = judge(instance)
        ingest_into_lake(home)
        [request] = judge(instance)
        done = dg.materialize([champion_watch, deployment_changes], partition_key=SOURCE, instance=instance)
        until_served(server, 1)
        of_first_again = ask(server, serving_home, 20, "again")

    assert (of_first, of_second) == ({(200, 1): 120}, {(422, None): 150})
    assert before_ingestion == []
    assert (request.partition_key, request.tags["loanlake/reason"].split(": ")[0]) == (
        SOURCE,
        "worse than the version before",
    )
    assert done.success
    assert of_first_again == {(200, 1): 20}
    assert judge(instance) == []
    with connect(home) as con:
        changes = con.execute(
            "select action, changed_by, champion_version, json_extract_string(figures, '$.left_version'), why <> '' "
            "from serving.deployment_changes order by change"
        ).fetchall()
    assert changes == [
        ("publish", "tests", 1, None, False),
        ("publish", "someone", 2, None, False),
        ("rollback", "dagster", 1, "2", True),
    ]
