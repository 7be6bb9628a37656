"""What a caller of ``/v1/features`` gets, from the real app with a real small model."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.decisions.borrower_features import features
from ml.decisions.freshness import HistoryPolicy
from serving.access.keys import KeyStore
from serving.app import create_app
from serving.options import ServingOptions
from tests.model_factory import SOURCE, publish_model
from tests.serving_home import APPLICATION, AS_OF, SNAPSHOT, ServingHome
from tests.unit.serving.conftest import OPTIONS
from warehouse import decision_log
from warehouse.online_store import open_store
from warehouse.settings import Settings

Client = TestClient[Litestar]


def read(client: Client, *borrower_ids: Any, **more: Any) -> dict[str, Any]:
    response = client.post("/v1/features", json={"borrower_ids": borrower_ids, **more})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_values_are_those_that_a_score_of_the_same_moment_logs(client: Client, shared_home: ServingHome) -> None:
    at = {"decided_at": "2022-03-01T12:00:00Z"}
    score = client.post("/v1/scores", json=APPLICATION | {"borrower_id": "sim-b2"} | at).json()
    logged = decision_log.find_decision(shared_home.settings, score["decision_id"])

    answer = read(client, "sim-b2", **at)

    [row] = answer["results"]
    assert row["features"] == {"max_months_past_due_6m": 5}
    assert row["features"].items() <= json.loads(logged.features).items()
    assert row["inputs"].items() <= json.loads(logged.inputs).items()
    assert (row["as_of"], row["lake_snapshot"], row["history"]) == (
        score["features_as_of"],
        logged.lake_snapshot,
        logged.history,
    )
    assert (answer["model"], answer["decided_at"]) == (score["model"], score["decided_at"])
    assert row["feature_version"] == score["model"]["feature_version"]


def test_the_library_gives_the_values_of_the_api(
    client: Client, shared_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOANLAKE_HISTORY_MAX_AGE_HOURS", "none")
    ids = ["sim-b1", 7, "nobody", "sim-b2"]

    rows = features(ids, settings=shared_home.settings)

    answered = read(client, *ids)["results"]
    assert [row.features for row in rows] == [row.get("features") for row in answered]
    assert [row.history for row in rows] == [row.get("history") for row in answered]
    assert [row.problem and row.problem.detail for row in rows] == [
        row["problem"]["detail"] if "problem" in row else None for row in answered
    ]
    assert [(row.as_of and row.as_of.replace(tzinfo=None), row.lake_snapshot) for row in rows] == [
        (AS_OF, SNAPSHOT), (None, None), (None, None), (AS_OF, SNAPSHOT)
    ]  # fmt: skip


def test_a_borrower_who_is_unknown_is_named_so_and_has_no_values(client: Client) -> None:
    answer = read(client, "sim-b1", "nobody")

    assert answer["results"][1] == {"index": 1, "borrower_id": "nobody", "history": "unknown"}
    assert (answer["n_known"], answer["n_without_history"], answer["n_refused"]) == (1, 1, 0)


@pytest.mark.parametrize("bad", [7, None, "", " ", "nan", "a\nb", "x" * 101, ["sim-b1"], 10**400, {"a": 1.5}, True])
def test_a_bad_id_gets_a_problem_and_the_others_their_values(client: Client, bad: Any) -> None:
    answer = read(client, bad, " sim-b1 ")

    refused, answered = answer["results"]
    assert refused["problem"]["errors"][0]["field"] == "borrower_id"
    assert set(refused) == {"index", "problem"}
    assert (answered["borrower_id"], answered["features"]) == ("sim-b1", {"max_months_past_due_6m": 0})
    assert (answer["n_known"], answer["n_refused"]) == (1, 1)


def test_an_erased_borrower_is_not_answered_again(own_client: Client, own_home: ServingHome) -> None:
    """An erasure writes the store anew; the running server opens that one at its next look-up."""
    assert read(own_client, "sim-b2")["n_known"] == 1
    left = pa.table(
        {
            "borrower_id": ["sim-b1"],
            "source": [SOURCE],
            "as_of": pa.array([AS_OF], pa.timestamp("us")),
            "max_months_past_due_6m": pa.array([0], pa.int32()),
        }
    )
    with open_store(own_home.settings).anew() as store:
        store.write("borrowers", left.to_reader(), snapshot=SNAPSHOT + 1)

    answer = read(own_client, "sim-b1", "sim-b2")

    assert [row["history"] for row in answer["results"]] == ["fresh", "unknown"]
    assert "features" not in answer["results"][1]


def test_nothing_is_logged_as_a_decision_and_no_id_reaches_the_log(
    own_client: Client, own_home: ServingHome, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        read(own_client, "sim-b1", "nobody", "x\0")

    assert decision_log.count_pending(own_home.settings) == 0
    assert not any(
        name in json.dumps([vars(each) for each in caplog.records], default=str) for name in ("sim-b1", "nobody")
    )
    metrics = own_client.get("/metrics").text
    for history, n in (("fresh", 1), ("unknown", 1), ("refused", 1), ("stale", 0)):
        assert f'loanlake_borrower_features_total{{history="{history}",lender="simulated"}} {n}.0' in metrics
    assert 'loanlake_request_violations_total{field="borrower_id",lender="simulated"} 1.0' in metrics


def test_only_a_key_with_the_scope_reads_features(client: Client, shared_home: ServingHome) -> None:
    keys = KeyStore(shared_home.settings.keys)
    body = {"borrower_ids": ["sim-b1"]}

    answers = {
        scope: client.post(
            "/v1/features", json=body, headers={"Authorization": f"Bearer {keys.create(scope, [scope])}"}
        )
        for scope in ("score", "decisions", "features", "admin")
    }

    assert {scope: answer.status_code for scope, answer in answers.items()} == {
        "score": 403,
        "decisions": 403,
        "features": 200,
        "admin": 200,
    }
    assert answers["score"].json()["scope"] == "features"


def test_a_key_bound_to_another_lender_is_refused(client: Client, shared_home: ServingHome) -> None:
    key = KeyStore(shared_home.settings.keys).create("cards", ["features"], lenders=["cards"])

    answer = client.post("/v1/features", json={"borrower_ids": ["sim-b1"]}, headers={"Authorization": f"Bearer {key}"})

    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"borrower_ids": []}, "borrower_ids"),
        ({"borrower_ids": ["a"] * 4}, "borrower_ids"),
        ({"borrower_ids": "sim-b1"}, "borrower_ids"),
        ({}, "borrower_ids"),
        ({"borrower_ids": ["a"], "decided_at": "2999-01-01T00:00:00Z"}, "decided_at"),
        ({"borrower_ids": ["a"], "feature": "x"}, "feature"),
    ],
)
def test_a_bad_request_names_the_field(shared_home: ServingHome, body: dict[str, Any], field: str) -> None:
    with TestClient(create_app(shared_home.settings, replace(OPTIONS, feature_borrowers=3))) as client:
        answer = client.post("/v1/features", json=body, headers=shared_home.headers)

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_body_beyond_the_limit_is_refused(client: Client) -> None:
    answer = client.post("/v1/features", json={"borrower_ids": ["x" * 100] * 120})

    assert answer.status_code == 413


def test_calls_count_against_the_callers_limit(client: Client, shared_home: ServingHome) -> None:
    key = KeyStore(shared_home.settings.keys).create("few", ["features"], rate_limit=1)
    headers = {"Authorization": f"Bearer {key}"}

    first, second = (client.post("/v1/features", json={"borrower_ids": ["sim-b1"]}, headers=headers) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 429)
    assert "Retry-After" in second.headers


def test_a_time_before_the_history_is_refused_of_those_who_have_one(client: Client) -> None:
    answer = read(client, "sim-b1", "nobody", decided_at="2021-12-31T00:00:00Z")

    known, unknown = answer["results"]
    assert known["problem"]["errors"][0]["field"] == "decided_at"
    assert unknown["history"] == "unknown"


@pytest.fixture
def with_policy(shared_home: ServingHome) -> Callable[[HistoryPolicy], dict[str, Any]]:
    def answered(policy: HistoryPolicy) -> dict[str, Any]:
        with TestClient(create_app(shared_home.settings, ServingOptions(history=policy))) as client:
            client.headers.update(shared_home.headers)
            row: dict[str, Any] = read(client, "sim-b2")["results"][0]
            return row

    return answered


def test_old_history_is_treated_as_a_score_would_treat_it(
    with_policy: Callable[[HistoryPolicy], dict[str, Any]],
) -> None:
    used, left_out, refused = (
        with_policy(HistoryPolicy(stale=word)) for word in ("score", "score_without_history", "refuse")
    )

    assert (used["history"], used["features"]) == ("stale", {"max_months_past_due_6m": 5})
    assert left_out == {"index": 0, "borrower_id": "sim-b2", "history": "left_out"}
    assert refused["problem"]["type"] == "urn:loanlake:problem:stale-history"


@pytest.mark.parametrize("unavailable", ["refuse", "score_without_history"])
def test_without_the_store_nobody_is_told_to_be_unknown(home: Settings, unavailable: Any) -> None:
    publish_model(home)
    key = KeyStore(home.keys).create("tests", ["features"])
    options = ServingOptions(history=HistoryPolicy(unavailable=unavailable))
    with TestClient(create_app(home, options)) as client:
        answer = client.post(
            "/v1/features", json={"borrower_ids": ["sim-b1"]}, headers={"Authorization": f"Bearer {key}"}
        )

    assert answer.status_code == 503
    assert "online store" in answer.json()["detail"]


def test_the_description_has_a_true_example_and_the_limit(client: Client) -> None:
    document = client.get("/schema/openapi.json").json()
    schemas = document["components"]["schemas"]

    example = schemas["FeaturesRequest"]["examples"][0]

    assert schemas["FeaturesRequest"]["properties"]["borrower_ids"]["maxItems"] == OPTIONS.feature_borrowers
    assert client.post("/v1/features", json=example).status_code == 200
    assert set(schemas["FeatureList"]["examples"][0]) == set(read(client, "sim-b1"))
    assert document["paths"]["/v1/lenders/{lender}/features"]["post"]["operationId"] == "readFeaturesOfLender"


def test_one_id_is_not_read_as_a_list_of_its_letters() -> None:
    with pytest.raises(TypeError, match=r"must be a list of ids: found 'b-1'; write \['b-1'\]"):
        features("b-1")
