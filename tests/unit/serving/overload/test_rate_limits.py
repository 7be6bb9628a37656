"""A caller's minute: said in every answer, and refused once it is used up."""

from datetime import timedelta

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from serving.access.keys import KeyStore
from serving.app import create_app
from serving.options import ServingOptions
from tests.serving_home import ServingHome

Client = TestClient[Litestar]


def caller(serving_home: ServingHome, **limits: int) -> dict[str, str]:
    return {"Authorization": f"Bearer {KeyStore(serving_home.settings.keys).create('caller', ['metrics'], **limits)}"}


def test_what_is_left_is_said_and_then_refused(client: Client, shared_home: ServingHome) -> None:
    headers = caller(shared_home, rate_limit=2)

    answers = [client.get("/v1/model", headers=headers) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"caller";q=2;w=60'}
    left = [answer.headers["ratelimit"].partition(";t=") for answer in answers]
    assert [before for before, _, _ in left] == ['"caller";r=1', '"caller";r=0', '"caller";r=0', '"caller";r=0']
    assert all(55 <= int(seconds) <= 60 for _, _, seconds in left)
    refused = answers[-1]
    assert refused.headers["retry-after"] == left[-1][2]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:loanlake:problem:too-many-requests"


def test_a_request_that_may_not_be_made_counts_too(client: Client, shared_home: ServingHome) -> None:
    headers = caller(shared_home, rate_limit=2)

    answers = [client.post("/v1/scores", json={}, headers=headers).status_code for _ in range(3)]

    assert answers == [403, 403, 429]


def test_the_servers_limit_holds_where_a_key_says_nothing_else(shared_home: ServingHome) -> None:
    with TestClient(create_app(shared_home.settings, ServingOptions(rate_limit=3))) as client:
        by_default = client.get("/v1/model", headers=caller(shared_home))
        raised = client.get("/v1/model", headers=caller(shared_home, rate_limit=5000))

    assert by_default.headers["ratelimit-policy"] == '"caller";q=3;w=60'
    assert raised.headers["ratelimit-policy"] == '"caller";q=5000;w=60'


def test_a_key_and_its_successor_share_a_minute(client: Client, shared_home: ServingHome) -> None:
    store = KeyStore(shared_home.settings.keys)
    old = store.create("caller", ["metrics"], rate_limit=10)
    client.get("/v1/model", headers={"Authorization": f"Bearer {old}"})

    new = store.rotate(old.split("_")[1], overlap=timedelta(0))
    answer = client.get("/v1/model", headers={"Authorization": f"Bearer {new}"})

    assert answer.headers["ratelimit"].startswith('"caller";r=8;')


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/nowhere"])
def test_who_is_nobody_has_no_limit(client: Client, path: str) -> None:
    assert "ratelimit" not in client.get(path, headers={"Authorization": ""}).headers


def test_counts_that_cannot_be_kept_stop_nobody(own_client: Client, own_home: ServingHome) -> None:
    """A limit protects a lender's decisions; it must not be what ends them."""
    own_home.settings.call_counts.mkdir(parents=True)  # a directory where the file should be

    answer = own_client.get("/v1/model")

    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers


def test_the_description_names_refusal_and_headers(client: Client) -> None:
    answers = client.get("/schema/openapi.json").json()["paths"]["/v1/scores"]["post"]["responses"]

    assert answers["429"]["content"]["application/problem+json"]["schema"]["$ref"].endswith("ProblemDocument")
    assert {"RateLimit", "RateLimit-Policy"} <= answers["200"]["headers"].keys()
