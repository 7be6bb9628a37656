"""Parts that fail under a running API: scoring continues or is refused as the runbook says, and /readyz says why."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.decisions.freshness import HistoryPolicy
from ml.registry.deployment import serve
from ml.registry.registered_version import deployment_of
from serving.app import create_app
from serving.options import ServingOptions
from tests.model_factory import publish_model, register_model, shared_bundle
from tests.serving_home import APPLICATION, ServingHome, fill_online_store, furnish, until_ready_says
from warehouse import decision_log
from warehouse.errors import LakeBusyError
from warehouse.lake.connection import writer
from warehouse.settings import Settings

Client = TestClient[Litestar]


@pytest.fixture
def serving_home(home: Settings) -> ServingHome:
    return furnish(home)


@contextmanager
def api(serving_home: ServingHome, options: ServingOptions | None = None) -> Iterator[Client]:
    app = create_app(
        serving_home.settings, options or ServingOptions(poll_seconds=0.05, history=HistoryPolicy(max_age=None))
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        client.headers.update(serving_home.headers)
        yield client


def a_file_missing(bundle: Path) -> None:
    (bundle / "calibrator.json").unlink()


def a_model_cut_short(bundle: Path) -> None:
    path = bundle / "model.onnx"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:1000])


def a_changed_number(bundle: Path) -> None:
    path = bundle / "policy.json"
    path.chmod(0o644)
    path.write_text(path.read_text() + " ")


def an_empty_manifest(bundle: Path) -> None:
    path = bundle / "bundle.json"
    path.chmod(0o644)
    path.write_text("")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (a_file_missing, "calibrator.json"),
        (a_model_cut_short, "model.onnx was changed after the bundle was written"),
        (a_changed_number, "policy.json was changed after the bundle was written"),
        (an_empty_manifest, "bundle.json"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bundle_that_is_not_whole_is_named_and_the_model_before_goes_on(
    serving_home: ServingHome, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None], named: str
) -> None:
    settings = serving_home.settings
    with api(serving_home) as client:
        before = client.post("/v1/scores", json=APPLICATION).json()
        placed = deployment_of(settings, register_model(settings, shared_bundle(seed=11), version=2), by="tests")
        damage(placed.bundle_directory(settings))
        serve(settings, placed, action="publish", by="tests")

        ready = until_ready_says(client, lambda answer: answer["status"] == "degraded")
        after = client.post("/v1/scores", json=APPLICATION).json()
        publish_model(settings, version=3, seed=11)
        until_ready_says(
            client,
            lambda answer: (answer["status"], answer["lenders"]["simulated"]["model"]["version"]) == ("ready", 3),
        )

    assert "the newest deployment of simulated cannot be served" in ready["reasons"][0]
    assert named in ready["reasons"][0]
    assert any(named in getattr(record, "reason", "") for record in caplog.records)
    assert (after["model"], after["probability"]) == (before["model"], before["probability"])


def test_a_deployment_half_written_by_hand_leaves_the_model_before(serving_home: ServingHome) -> None:
    """What loanlake writes is never half there; an editor's file may be."""
    deployment = serving_home.settings.deployment("simulated")
    with api(serving_home) as client:
        whole = deployment.read_text()
        deployment.write_text(whole[: len(whole) // 2])
        ready = until_ready_says(client, lambda answer: answer["status"] == "degraded")
        score = client.post("/v1/scores", json=APPLICATION)
        deployment.write_text(whole)
        until_ready_says(client, lambda answer: answer["status"] == "ready")

    assert "deployment.json must hold one deployment" in ready["reasons"][0]
    assert score.status_code == 200


def overwritten(store: Path) -> None:
    """As a copy of the home leaves it that was cut off: another file in its place."""
    damaged = store / "damaged"
    damaged.write_bytes(b"\xff" * 65_536)
    damaged.replace(store / "data.mdb")


@pytest.mark.parametrize("policy", ["refuse", "score_without_history"])
def test_a_damaged_online_store_is_named(serving_home: ServingHome, policy: str) -> None:
    store = serving_home.settings.online_store
    options = ServingOptions(history=HistoryPolicy(max_age=None, unavailable=policy))  # type: ignore[arg-type]
    with api(serving_home, options) as client:
        assert client.post("/v1/scores", json=APPLICATION).json()["status"] == "scored"
        overwritten(store)
        score, ready = client.post("/v1/scores", json=APPLICATION), client.get("/readyz")
        shutil.rmtree(store)
        fill_online_store(serving_home.settings)
        again = client.post("/v1/scores", json=APPLICATION)

    assert (
        f"the online store at {store.relative_to(serving_home.settings.home)} cannot be read"
        in ready.json()["reasons"][0]
    )
    assert (score.status_code, ready.status_code) == ((503, 503) if policy == "refuse" else (200, 200))
    if policy == "score_without_history":
        assert score.json()["status"] == "scored_without_history"
        assert ready.json()["status"] == "degraded"
    assert again.json()["status"] == "scored"


def test_a_removed_online_store_goes_on_until_a_restart_and_is_made_anew(serving_home: ServingHome) -> None:
    """The API has it open; a process that starts now refuses to score: it must not treat borrowers as unknown."""
    store = serving_home.settings.online_store
    with api(serving_home) as client:
        assert client.post("/v1/scores", json=APPLICATION).json()["status"] == "scored"
        shutil.rmtree(store)
        after = client.post("/v1/scores", json=APPLICATION)
    with api(serving_home) as client:
        score, ready = client.post("/v1/scores", json=APPLICATION), client.get("/readyz")
        fill_online_store(serving_home.settings)
        again, ready_again = client.post("/v1/scores", json=APPLICATION), client.get("/readyz")

    assert after.json()["status"] == "scored"
    assert (score.status_code, ready.status_code) == (503, 503)
    assert (
        f"the online store at {store.relative_to(serving_home.settings.home)} is not there yet"
        in ready.json()["reasons"][0]
    )
    assert (again.json()["status"], ready_again.status_code) == ("scored", 200)


def lease_is_held(serving_home: ServingHome, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """While another writer keeps the lake, scores take as long as ever, and ingestion names whom it waits for."""
    monkeypatch.setenv("LOANLAKE_LEASE_SECONDS", "1")
    impatient = Settings.from_environment()
    with api(serving_home) as client, ThreadPoolExecutor(1) as thread:
        with writer("a long build", serving_home.settings):
            until, waits = time.monotonic() + seconds, []
            while time.monotonic() < until:
                began = time.monotonic()
                assert client.post("/v1/scores", json=APPLICATION).status_code == 200
                waits.append(time.monotonic() - began)
            ready = client.get("/readyz").json()
            with pytest.raises(LakeBusyError, match="'a long build'"):
                thread.submit(decision_log.ingest_into_lake, impatient).result()
        taken = decision_log.ingest_into_lake(serving_home.settings)

    assert ready["status"] == "ready"
    assert sorted(waits)[len(waits) // 2] < 0.5
    assert taken.n_decisions == len(waits)


def test_scores_do_not_wait_for_the_lake(serving_home: ServingHome, monkeypatch: pytest.MonkeyPatch) -> None:
    lease_is_held(serving_home, monkeypatch, 1)


@pytest.mark.extended
def test_scores_do_not_wait_for_longer_than_sqlite_does(
    serving_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection to the catalog gives up after 20 seconds: what waited unseen would fail here."""
    lease_is_held(serving_home, monkeypatch, float(os.environ.get("LOANLAKE_TEST_HELD_SECONDS", "25")))


@pytest.mark.parametrize("step", [timedelta(hours=-2), timedelta(days=-3650), timedelta(days=3650)], ids=str)
def test_a_clock_that_steps_loses_and_doubles_nothing(
    serving_home: ServingHome, monkeypatch: pytest.MonkeyPatch, step: timedelta
) -> None:
    """Ids stay unique, a request sent again is one decision, and a limit's minute is by a clock that cannot step."""
    true_time, true_ns = time.time, time.time_ns
    repeat = {"Idempotency-Key": "one-request"}
    with api(serving_home) as client:
        answers = [client.post("/v1/scores", json=APPLICATION).json() for _ in range(20)]
        first = client.post("/v1/scores", json=APPLICATION, headers=repeat).json()
        left_before = _left(client)
        monkeypatch.setattr(time, "time", lambda: true_time() + step.total_seconds())
        monkeypatch.setattr(time, "time_ns", lambda: true_ns() + int(step.total_seconds()) * 10**9)
        answers += [client.post("/v1/scores", json=APPLICATION).json() for _ in range(20)]
        again = client.post("/v1/scores", json=APPLICATION, headers=repeat).json()
        left_after, ready = _left(client), client.get("/readyz").json()
        monkeypatch.undo()

    assert again == first
    assert len({answer["decision_id"] for answer in answers}) == 40
    assert left_after == left_before - 22
    assert ready["status"] == "ready"
    assert decision_log.ingest_into_lake(serving_home.settings).n_decisions == 41


def _left(client: Client) -> int:
    return int(client.get("/v1/model").headers["ratelimit"].partition("r=")[2].partition(";")[0])
