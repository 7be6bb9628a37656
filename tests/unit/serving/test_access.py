"""Who may do what: every path that reads or decides needs a key with its scope."""

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from serving.app import create_app
from serving.keys import KeyStore
from serving.options import ServingOptions
from tests.serving_home import APPLICATION, ServingHome

Client = TestClient[Litestar]
OUTCOME = {"application_id": "app-1", "is_default": False, "outcome_at": "2022-06-01T00:00:00Z"}
CALLS = [
    ("POST", "/v1/scores", APPLICATION, "score"),
    ("POST", "/v1/scores/batch", {"applications": [APPLICATION]}, "score"),
    ("GET", "/v1/decisions/x", None, "decisions"),
    ("POST", "/v1/outcomes", OUTCOME, "outcomes"),
]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/schema", "/schema/openapi.json"])
def test_monitors_and_readers_of_the_description_need_no_key(client: Client, path: str) -> None:
    assert client.get(path, headers={"Authorization": ""}).status_code == 200


@pytest.mark.parametrize(("method", "path", "body", "scope"), [*CALLS, ("GET", "/v1/model", None, "any")])
def test_without_a_key_nothing_is_read_or_decided(
    client: Client, method: str, path: str, body: object, scope: str
) -> None:
    response = client.request(method, path, json=body, headers={"Authorization": ""})

    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
def test_a_key_of_another_scope_is_not_enough(
    client: Client, shared_home: ServingHome, method: str, path: str, body: object, scope: str
) -> None:
    others = {"score", "decisions", "outcomes", "metrics"} - {scope}
    key = KeyStore(shared_home.settings.keys).create("other", others)

    response = client.request(method, path, json=body, headers={"X-API-Key": key, "Authorization": ""})

    assert response.status_code == 403
    assert f"needs the scope '{scope}'" in response.json()["detail"]


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
def test_a_key_of_the_scope_is_enough(
    client: Client, shared_home: ServingHome, method: str, path: str, body: object, scope: str
) -> None:
    key = KeyStore(shared_home.settings.keys).create("one", [scope])

    response = client.request(method, path, json=body, headers={"Authorization": f"bearer {key}"})

    assert response.status_code in (200, 404)


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer x", "Basic dTpw", "Bearer ll_a_b", "Bearer \u00e9"])
def test_what_is_not_a_key_is_refused(client: Client, header: str) -> None:
    response = client.get("/v1/model", headers={"Authorization": header.encode("utf-8")})

    assert response.status_code == 401


def test_a_key_revoked_while_the_server_runs_stops(client: Client, shared_home: ServingHome) -> None:
    store = KeyStore(shared_home.settings.keys)
    key = store.create("leaver", ["score"])
    headers = {"Authorization": f"Bearer {key}"}
    assert client.get("/v1/model", headers=headers).status_code == 200

    store.revoke(key.split("_")[1])

    response = _until_refused(client, headers)
    assert "is revoked" in response


def test_metrics_can_be_made_to_need_a_key(shared_home: ServingHome) -> None:
    with TestClient(create_app(shared_home.settings, ServingOptions(metrics_need_key=True))) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers=shared_home.headers).status_code == 200


def _until_refused(client: Client, headers: dict[str, str]) -> str:
    for _ in range(200):
        response = client.get("/v1/model", headers=headers)
        if response.status_code == 401:
            return str(response.json()["detail"])
    raise AssertionError("the key still works after 200 requests")
