"""What every answer tells a browser, and what pages of other sites may read."""

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from serving.app import create_app
from serving.options import ServingOptions
from tests.serving_home import APPLICATION, ServingHome

Client = TestClient[Litestar]
OURS = "https://app.lender.example"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/v1/scores", 200), ("POST", "/v1/outcomes", 400), ("GET", "/v1/nothing", 404), ("GET", "/metrics", 200)],
)
def test_every_answer_is_kept_by_nobody_and_framed_nowhere(client: Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path, json=APPLICATION if method == "POST" else None)

    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "strict-transport-security" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


def test_the_page_may_run_its_own_script_and_nothing_else(client: Client) -> None:
    page, script = client.get("/schema"), client.get("/schema/assets/swagger-ui-bundle.js")

    (policy,) = page.headers.get_list("content-security-policy")
    assert "script-src 'self' 'unsafe-inline'" in policy
    assert "default-src 'none'" in policy
    assert script.headers["cache-control"] == "max-age=86400"


def test_over_tls_a_browser_is_told_to_stay_there(client: Client) -> None:
    answer = client.get("https://testserver.local/healthz")

    assert answer.headers["strict-transport-security"] == "max-age=31536000"


@pytest.fixture(scope="module")
def open_to_ours(shared_home: ServingHome) -> Iterator[Client]:
    """A server that lets the pages of one site read its answers."""
    options = ServingOptions(cors_origins=(OURS,))
    with TestClient(create_app(shared_home.settings, options)) as client:
        yield client


ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


def test_no_other_sites_page_may_ask_unless_told(client: Client) -> None:
    preflight = client.options("/v1/scores", headers={"Origin": OURS, **ASKED})
    answer = client.get("/v1/model", headers={"Origin": OURS})

    assert not [name for name in (*preflight.headers, *answer.headers) if name.startswith("access-control-")]


def test_a_named_sites_page_may_ask_with_a_key(open_to_ours: Client, shared_home: ServingHome) -> None:
    preflight = open_to_ours.options("/v1/scores", headers={"Origin": OURS, **ASKED})
    answer = open_to_ours.get("/v1/model", headers={"Origin": OURS, **shared_home.headers})
    without = open_to_ours.get("/v1/model", headers={"Origin": OURS})

    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == OURS
    assert "access-control-allow-credentials" not in preflight.headers
    assert answer.headers["access-control-allow-origin"] == OURS
    assert "ratelimit" in answer.headers["access-control-expose-headers"].lower()
    assert without.status_code == 401


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://app.lender.example", f"{OURS}.evil.example", "https://app-lender.example"],
)
def test_a_site_that_only_looks_like_it_may_not(open_to_ours: Client, shared_home: ServingHome, origin: str) -> None:
    preflight = open_to_ours.options("/v1/scores", headers={"Origin": origin, **ASKED})
    answer = open_to_ours.get("/v1/model", headers={"Origin": origin, **shared_home.headers})

    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in answer.headers
