"""A caller of batches, what it sends, and what a run makes of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.batches.runs import run_batch
from serving.access.keys import MOST_REQUESTS, KeyStore
from serving.app import create_app
from serving.options import ServingOptions
from tests.serving_home import APPLICATION, ServingHome
from warehouse.batches import Batch
from warehouse.settings import Settings

Client = TestClient[Litestar]
JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}
PARQUET = "application/vnd.apache.parquet"
BAD = APPLICATION | {"application_id": "app-3", "term_months": 0, "purpose": "boat"}


@pytest.fixture
def batch_client(own_home: ServingHome) -> Iterator[Client]:
    """A caller with the scope, over a home of its own that takes six rows at most."""
    options = ServingOptions(queued_batch_rows=6, batch_bytes=20_000, queued_batches=3, poll_seconds=0.05)
    with TestClient(create_app(own_home.settings, options), raise_server_exceptions=False) as client:
        client.headers.update(key_of(own_home.settings, "batch", "decisions", "score"))
        yield client


def key_of(settings: Settings, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KeyStore(settings.keys).create('b', scopes, rate_limit=MOST_REQUESTS)}"}


def send_rows(client: Client, *rows: Any, **headers: str) -> Any:
    return client.post("/v1/batches", content=json.dumps({"applications": rows}), headers=JSON | headers)


def run_of(home: ServingHome, batch_id: str) -> Batch:
    done = run_batch(home.settings, batch_id, run_id="run-1")
    assert done is not None
    return done


def results_of(client: Client, batch_id: str) -> list[dict[str, Any]]:
    found = client.get(f"/v1/batches/{batch_id}/results")
    assert found.status_code == 200, found.text
    assert found.json()["batch_id"] == batch_id
    return list(found.json()["results"])
