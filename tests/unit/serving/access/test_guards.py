"""Who may do what: every path that reads or decides needs a key with its scope."""

import base64
import time
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from serving.access.guards import OPEN, SCOPE
from serving.access.keys import SCOPES, KeyStore
from serving.app import create_app
from serving.options import ServingOptions, TokenOptions
from tests.serving_home import APPLICATION, ServingHome

Client = TestClient[Litestar]
OUTCOME = {"application_id": "app-1", "is_default": False, "outcome_at": "2022-06-01T00:00:00Z"}
#: Takes the place of the client's own key.
ONCE = {"Authorization": "", "Idempotency-Key": "one-request"}
CALLS = [
    ("POST", "/v1/scores", APPLICATION, "score"),
    ("POST", "/v1/scores/batch", {"applications": [APPLICATION]}, "score"),
    ("GET", "/v1/decisions/x", None, "decisions"),
    ("POST", "/v1/outcomes", OUTCOME, "outcomes"),
    ("GET", "/v1/models", None, "approve"),
    ("POST", "/v1/models/99/approval", {"reason": "no such version"}, "approve"),
]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_monitors_need_no_key(client: Client, path: str) -> None:
    assert client.get(path, headers={"Authorization": ""}).status_code == 200


def test_every_other_route_needs_one(client: Client) -> None:
    """Also one that is added later: a handler is closed unless it says otherwise."""
    open_to_all = {
        (route.path, method)
        for route in client.app.routes
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items()
        if handler.opt.get(SCOPE) == OPEN
    }

    assert {path for path, _ in open_to_all} == {"/healthz", "/readyz", "/metrics"}
    assert {method for _, method in open_to_all} == {"GET", "OPTIONS"}


@pytest.mark.parametrize("path", ["/schema", "/schema/openapi.json", "/schema/assets/swagger-ui.css"])
def test_the_description_needs_any_key(client: Client, shared_home: ServingHome, path: str) -> None:
    """It names the lender's fields, their ranges and the texts of reasons."""
    key = KeyStore(shared_home.settings.keys).create("reader", ["metrics"])

    assert client.get(path, headers={"Authorization": ""}).status_code == 401
    assert client.get(path, headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_the_description_can_be_opened(shared_home: ServingHome) -> None:
    with TestClient(create_app(shared_home.settings, ServingOptions(docs_need_key=False))) as client:
        assert {client.get(path).status_code for path in ("/schema", "/schema/openapi.json")} == {200}
        assert client.get("/").status_code == 401  # the page tells more than how to call


def test_a_browser_is_asked_for_the_key_and_sends_it_as_a_password(client: Client, shared_home: ServingHome) -> None:
    asked = client.get("/schema", headers={"Authorization": "", "Accept": "text/html,*/*;q=0.8"})
    page = client.get("/schema", headers={"Authorization": basic("anyone", shared_home.key)})

    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic")
    assert page.status_code == 200


def test_a_password_decides_nothing(client: Client, shared_home: ServingHome) -> None:
    """A browser adds it to what other sites' pages send, too."""
    headers = {"Authorization": basic("anyone", shared_home.key)}

    assert client.post("/v1/scores", json=APPLICATION, headers=headers).status_code == 401


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
    others = SCOPES.keys() - {scope, "admin"}
    key = KeyStore(shared_home.settings.keys).create("other", others)

    response = client.request(method, path, json=body, headers={"X-API-Key": key, "Authorization": ""})

    assert response.status_code == 403
    assert f"Requires the scope '{scope}'" in response.json()["detail"]
    assert response.json()["scope"] == scope
    assert f'error="insufficient_scope", scope="{scope}"' in response.headers["www-authenticate"]


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
@pytest.mark.parametrize("granted", ["the scope", "admin"])
def test_a_key_of_the_scope_or_of_all_is_enough(
    client: Client, shared_home: ServingHome, method: str, path: str, body: object, scope: str, granted: str
) -> None:
    key = KeyStore(shared_home.settings.keys).create("one", [scope if granted == "the scope" else granted])

    response = client.request(method, path, json=body, headers={"Authorization": f"bearer {key}"})

    assert response.status_code in (200, 404)


@pytest.mark.parametrize(
    "header",
    [
        *("Bearer", "Bearer ", "Bearer x", "Bearer ll_a_b", "Bearer ll_", "Bearer \u00e9", "Digest x"),
        *("Basic", "Basic dTpw", "Basic ====", "Basic \u00e9", "Basic gIA6gA=="),
    ],
)
def test_what_is_not_a_key_is_refused(client: Client, header: str) -> None:
    response = client.get("/v1/model", headers={"Authorization": header.encode("utf-8")})

    assert response.status_code == 401


def test_an_idempotency_key_outlives_the_rotation_of_its_callers_key(client: Client, shared_home: ServingHome) -> None:
    """A request sent again after its answer was lost must not become a second decision because a key was rotated."""
    store = KeyStore(shared_home.settings.keys)
    old = store.create("branch", ["score"])
    first = client.post("/v1/scores", json=APPLICATION, headers={"X-API-Key": old, **ONCE})

    new = store.rotate(old.split("_")[1], overlap=timedelta(0))
    again = client.post("/v1/scores", json=APPLICATION, headers={"X-API-Key": new, **ONCE})

    assert again.json()["decision_id"] == first.json()["decision_id"]


def test_a_key_revoked_while_the_server_runs_stops(client: Client, shared_home: ServingHome) -> None:
    store = KeyStore(shared_home.settings.keys)
    key = store.create("leaver", ["score"])
    headers = {"Authorization": f"Bearer {key}"}
    assert client.get("/v1/model", headers=headers).status_code == 200

    store.revoke(key.split("_")[1])

    response = _until_refused(client, headers)
    assert "is revoked" in response


def test_a_token_is_as_good_as_a_key(shared_home: ServingHome, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * 32)
    options = ServingOptions(tokens=TokenOptions("https://id.example", "loanlake", secret_file=secret))
    claims = {
        "iss": "https://id.example",
        "aud": "loanlake",
        "sub": "branch",
        "exp": time.time() + 60,
        "scope": "score",
    }
    token = jwt.encode(claims, b"x" * 32)
    with TestClient(create_app(shared_home.settings, options)) as client:
        bearer = {"Authorization": f"Bearer {token}"}
        scored = client.post("/v1/scores", json=APPLICATION, headers=bearer)
        decision = client.get("/v1/decisions/x", headers=bearer)
        by_key = client.get("/v1/model", headers=shared_home.headers)
        unknown = client.get("/v1/model", headers={"Authorization": "Bearer x"})

    assert (scored.status_code, by_key.status_code) == (200, 200)
    assert scored.headers["ratelimit"].startswith('"caller";r=99;')
    assert decision.json()["detail"] == "Requires the scope 'decisions': the token has score"
    assert unknown.status_code == 401


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


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
