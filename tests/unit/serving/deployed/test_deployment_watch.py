"""Several lenders in one API: each with its own deployment, its own callers, limits and figures."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.registry.deployment import read_deployment
from serving.access.keys import MOST_REQUESTS, KeyStore
from serving.app import create_app
from tests.model_factory import publish_model
from tests.serving_home import APPLICATION, ServingHome, furnish, until_ready_says
from tests.unit.serving.conftest import OPTIONS
from warehouse.settings import Settings

Client = TestClient[Litestar]
CARDS, SIMULATED = "cards", "simulated"
ALL_SCOPES = ["score", "batch", "decisions", "outcomes", "approve"]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> ServingHome:
    """Two lenders with different models; only the first has borrowers in the online store."""
    path = tmp_path_factory.mktemp("two-lenders")
    home = furnish(Settings.from_environment({"LOANLAKE_HOME": str(path / "home")}))
    publish_model(home.settings, source=CARDS, seed=8)
    return home


@pytest.fixture(scope="module")
def client(two: ServingHome) -> Iterator[Client]:
    with TestClient(create_app(two.settings, OPTIONS), raise_server_exceptions=False) as client:
        client.headers.update(two.headers)
        yield client


@pytest.fixture
def bound(two: ServingHome) -> dict[str, str]:
    """The header of a key for cards alone."""
    key = KeyStore(two.settings.keys).create("desk", ALL_SCOPES, rate_limit=MOST_REQUESTS, lenders=[CARDS])
    return {"Authorization": f"Bearer {key}"}


def score(client: Client, lender: str, **options: Any) -> Any:
    return client.post(f"/v1/lenders/{lender}/scores", json=APPLICATION, **options)


def test_each_lenders_path_answers_with_its_own_model_and_history(client: Client) -> None:
    cards, simulated = score(client, CARDS).json(), score(client, SIMULATED).json()
    listed = client.get(f"/v1/lenders/{CARDS}/decisions").json()["decisions"]

    assert (cards["model"]["name"], simulated["model"]["name"]) == ("default_risk_cards", "default_risk_simulated")
    assert (cards["status"], simulated["status"]) == ("scored_without_history", "scored")
    assert cards["probability"] != simulated["probability"]
    assert client.get(f"/v1/lenders/{CARDS}/model").json()["lender"] == CARDS
    assert {decision["lender"] for decision in listed} == {CARDS}


@pytest.mark.parametrize("path", ["scores", "scores/batch", "batches", "outcomes"])
def test_a_short_path_names_the_lenders_where_it_could_mean_several(client: Client, path: str) -> None:
    body = {"applications": [APPLICATION]} if path in ("scores/batch", "batches") else APPLICATION
    if path == "outcomes":
        body = {"application_id": "app-1", "is_default": False, "outcome_at": "2024-01-01T00:00:00Z"}

    refused, unknown = client.post(f"/v1/{path}", json=body), client.post(f"/v1/lenders/card/{path}", json=body)

    assert (refused.status_code, refused.json()["type"]) == (400, "urn:loanlake:problem:lender-needed")
    assert refused.json()["detail"].endswith("served: cards, simulated")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:loanlake:problem:unknown-lender")
    assert unknown.json()["detail"] == "No model of the lender 'card' is served; served: cards, simulated"


def test_models_and_their_approvals_are_a_lenders(client: Client) -> None:
    refused, unknown = client.get("/v1/models"), client.get("/v1/lenders/card/models")
    versions = client.get(f"/v1/lenders/{CARDS}/models").json()["versions"]

    assert (refused.status_code, unknown.status_code) == (400, 404)
    assert [(each["lender"], each["model"], each["state"]) for each in versions] == [
        (CARDS, "default_risk_cards", "served")
    ]


def test_the_default_lender_answers_on_short_paths(two: ServingHome) -> None:
    with TestClient(create_app(replace(two.settings, default_lender=CARDS), OPTIONS)) as client:
        client.headers.update(two.headers)

        short, named = client.post("/v1/scores", json=APPLICATION), score(client, SIMULATED)

    assert short.json()["model"]["name"] == "default_risk_cards"
    assert named.json()["model"]["name"] == "default_risk_simulated"


def test_a_default_lender_without_a_model_is_named(two: ServingHome) -> None:
    with TestClient(create_app(replace(two.settings, default_lender="cars"), OPTIONS)) as client:
        client.headers.update(two.headers)

        answer = client.post("/v1/scores", json=APPLICATION)

    assert answer.status_code == 503
    assert answer.json()["detail"] == "no model of the default lender cars is deployed; deployed: cards, simulated"


def test_a_bound_key_reaches_its_lender_alone(client: Client, bound: dict[str, str]) -> None:
    theirs = score(client, SIMULATED).json()["decision_id"]
    own = score(client, CARDS, headers=bound)
    outcome = {"application_id": "app-1", "is_default": False, "outcome_at": "2024-01-01T00:00:00Z"}
    other = f"/v1/lenders/{SIMULATED}"
    refused = [
        score(client, SIMULATED, headers=bound),
        client.post(f"{other}/scores/batch", json={"applications": [APPLICATION]}, headers=bound),
        client.post(f"{other}/batches", json={"applications": [APPLICATION]}, headers=bound),
        client.post(f"{other}/outcomes", json=outcome, headers=bound),
        client.get(f"{other}/model", headers=bound),
        client.get(f"{other}/models", headers=bound),
        client.get(f"{other}/decisions", headers=bound),
        client.get(f"/v1/decisions/{theirs}", headers=bound),
    ]
    listed = client.get("/v1/decisions", headers=bound).json()["decisions"]

    assert own.status_code == 200
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert "is bound to lenders: cards; found 'simulated'" in refused[0].json()["detail"]
    assert {decision["lender"] for decision in listed} == {CARDS}
    page, others = client.get("/", headers=bound), client.get("/?lender=simulated", headers=bound)
    assert "default_risk_cards version 1" in page.text
    assert "simulated" not in page.text
    assert others.status_code == 403
    assert "simulated" not in others.text


def test_a_key_bound_to_another_lender_than_the_default_is_refused_on_short_paths(
    two: ServingHome, bound: dict[str, str]
) -> None:
    with TestClient(create_app(replace(two.settings, default_lender=SIMULATED), OPTIONS)) as client:
        answer = client.post("/v1/scores", json=APPLICATION, headers=bound)

    assert answer.status_code == 403


def test_a_callers_limit_is_counted_for_each_lender(two: ServingHome, client: Client) -> None:
    key = KeyStore(two.settings.keys).create("slow", ["score"], rate_limit=1)
    headers = {"Authorization": f"Bearer {key}"}

    statuses = [score(client, lender, headers=headers).status_code for lender in (CARDS, CARDS, SIMULATED)]

    assert statuses == [200, 429, 200]


def test_an_idempotency_key_is_not_answered_with_another_lenders_score(client: Client) -> None:
    headers = {"Idempotency-Key": "one"}

    first, again, other = (score(client, lender, headers=headers) for lender in (CARDS, CARDS, SIMULATED))

    assert first.json()["decision_id"] == again.json()["decision_id"]
    assert other.status_code == 422


def test_metrics_page_and_description_tell_the_lenders_apart(client: Client) -> None:
    score(client, CARDS)
    metrics, page = client.get("/metrics").text, client.get(f"/?lender={CARDS}").text
    schemas = client.get("/schema/openapi.json").json()["components"]["schemas"]

    for lender in (CARDS, SIMULATED):
        assert f'loan_model_info{{feature_version="v1",lender="{lender}"' in metrics
        assert f'loanlake_lender_readiness{{lender="{lender}",status="ready"}} 1.0' in metrics
        assert f'href="/?lender={lender}"' in page
        assert schemas[f"ScoreRequest.{lender}"]["required"]
    assert 'loan_predictions_total{history="unknown",lender="cards",model="default_risk_cards"' in metrics
    assert len(schemas["ScoreRequest"]["anyOf"]) == 2
    assert "default_risk_cards version 1" in page
    assert "default_risk_simulated version 1" not in page


def test_one_lender_is_swapped_or_broken_while_the_other_answers(own_home: ServingHome) -> None:
    """A bad deployment of one bank product must not stop the others."""
    settings = own_home.settings
    settings.deployment("broken").parent.mkdir(parents=True)
    settings.deployment("broken").write_text("{")
    with TestClient(create_app(settings, OPTIONS), raise_server_exceptions=False) as client:
        client.headers.update(own_home.headers)
        began = client.get("/readyz").json()
        publish_model(settings, source=CARDS, seed=8)
        until_ready_says(client, lambda answer: CARDS in answer["lenders"])
        before = read_deployment(settings, SIMULATED)
        publish_model(settings, source=CARDS, seed=9, version=2)
        swapped = until_ready_says(client, lambda answer: answer["lenders"][CARDS]["model"]["version"] == 2)
        settings.deployment(CARDS).write_text("{")
        damaged = until_ready_says(client, lambda answer: answer["lenders"][CARDS]["status"] == "degraded")
        answers = {lender: score(client, lender) for lender in (SIMULATED, CARDS, "broken")}

    assert (began["status"], began["lenders"][SIMULATED]["status"]) == ("degraded", "ready")
    assert began["lenders"]["broken"]["status"] == "unavailable"
    assert read_deployment(settings, SIMULATED) == before
    assert swapped["lenders"][SIMULATED] == damaged["lenders"][SIMULATED] == began["lenders"][SIMULATED]
    assert (answers[SIMULATED].status_code, answers[CARDS].json()["model"]["version"]) == (200, 2)
    assert answers["broken"].status_code == 503
    assert "must hold one deployment" in answers["broken"].json()["detail"]
