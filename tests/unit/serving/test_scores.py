"""What a caller of ``/v1/scores`` gets, for good requests and bad ones, from the real app with a real small model."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from ml.bundle.bundle import load_bundle
from ml.bundle.scorer import Scorer
from ml.decisions.replay import replay
from ml.registry.deployment import read_deployment
from serving.app import create_app
from serving.deployed.served_model import ServedDeployment
from serving.http.clock import utc_now
from serving.options import ServingOptions
from serving.scoring.outbox import Outbox
from tests.model_factory import SOURCE
from tests.serving_home import APPLICATION, AS_OF, RISKY, ServingHome
from warehouse import decision_log
from warehouse.lenders import rules as lenders
from warehouse.settings import KEY_LIFE, REPOSITORY

Client = TestClient[Litestar]


def score(client: Client, body: Any, **headers: str) -> dict[str, Any]:
    response = client.post("/v1/scores", json=body, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def problem(client: Client, body: Any, status: int, **headers: str) -> dict[str, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.post("/v1/scores", content=content, headers={"Content-Type": "application/json"} | headers)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    return document


def test_the_score_is_the_bundles_own_for_request_history_and_cohort(client: Client, shared_home: ServingHome) -> None:
    deployment = read_deployment(shared_home.settings, "simulated")
    assert deployment is not None
    scorer = Scorer(load_bundle(deployment.bundle_directory(shared_home.settings)))
    decided_at = datetime(2022, 3, 1, 12, 0)
    inputs = APPLICATION | {
        "source": "simulated",
        "decided_at": decided_at,
        "oldest_account_on": datetime(2010, 5, 1).date(),
        "max_months_past_due_6m": 0,
        "purpose_default_rate": 0.1,
    }

    answer = score(client, APPLICATION | {"decided_at": "2022-03-01T12:00:00Z"})

    expected = scorer.score(scorer.features(inputs))
    assert (answer["probability"], answer["band"], answer["decision"]) == (
        expected.probability,
        expected.band,
        expected.decision,
    )
    assert answer["status"] == "scored"
    assert answer["features_as_of"] == "2022-01-01T00:00:00Z"
    assert answer["model"] == {
        "name": "default_risk_simulated",
        "version": 1,
        "feature_version": "v1",
    }


def test_a_decline_owes_reasons_and_an_approval_none(client: Client) -> None:
    declined, approved = score(client, RISKY), score(client, APPLICATION)

    assert (declined["decision"], approved["decision"]) == ("decline", "approve")
    assert declined["reasons"][0]["text"] == "The amount requested is high for the declared income"
    assert approved["reasons"] == []


def test_the_interval_is_answered_on_request_and_logged_always(client: Client, shared_home: ServingHome) -> None:
    plain, key = score(client, APPLICATION), {"Idempotency-Key": "with-interval"}

    asked, listed, again = (
        client.post(path, params={"interval": "true"}, json=body, headers=headers).json()
        for path, body, headers in (
            ("/v1/scores", APPLICATION, {}),
            ("/v1/scores/batch", {"applications": [APPLICATION]}, {}),
            ("/v1/lenders/simulated/scores", APPLICATION, key),
        )
    )

    assert not {"probability_low", "probability_high"} & set(plain)
    assert "probability_low" not in score(client, APPLICATION, **key)
    logged = decision_log.find_decision(shared_home.settings, plain["decision_id"])
    for answer in (asked, listed["results"][0]["score"], again):
        assert (answer["probability_low"], answer["probability_high"]) == (
            logged.probability_low,
            logged.probability_high,
        )
        assert answer["probability_low"] <= answer["probability"] <= answer["probability_high"]


def test_an_interval_that_is_neither_requested_nor_not_is_refused(client: Client) -> None:
    answer = client.post("/v1/scores", params={"interval": "wide"}, json=APPLICATION)

    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": "interval", "rule": "must be true or false"}]


def test_a_referral_has_its_interval_and_reasons(own_client: Client) -> None:
    served: ServedDeployment = own_client.app.dependencies["deployments"].dependency().served(None)
    scorer = served.champion.scorer
    decided = own_client.post("/v1/scores", params={"interval": "true"}, json=APPLICATION).json()
    cut_off = (decided["probability_low"] + decided["probability_high"]) / 2
    scorer.bundle = replace(scorer.bundle, policy=replace(scorer.bundle.policy, cut_off=cut_off, refer_width=0.0))

    answer = score(own_client, APPLICATION)

    assert answer["decision"] == "refer"
    assert answer["probability_low"] < cut_off < answer["probability_high"]
    assert answer["reasons"]


@pytest.mark.parametrize("borrower_id", [None, "nobody"])
def test_an_unknown_borrower_is_scored_without_history_and_told_so(client: Client, borrower_id: str | None) -> None:
    answer = score(client, APPLICATION | {"borrower_id": borrower_id})

    assert answer["status"] == "scored_without_history"
    assert "scored without history" in answer["warnings"][0]


def test_a_feature_outside_its_plausible_range_is_scored_with_a_warning(client: Client) -> None:
    """12,000 over 1 is a ratio of 12,000, where the contract's range ends at 1,000."""
    answer = score(client, APPLICATION | {"annual_income": 1})

    assert answer["warnings"] == ["loan_to_income is 12000, outside its plausible range 0 to 1000"]


def test_a_score_on_little_information_is_answered_with_a_warning(own_client: Client) -> None:
    """Two of three are missing; with a third given, one is."""
    served: ServedDeployment = own_client.app.dependencies["deployments"].dependency().served(None)
    vars(served.champion)["usually_known"] = (1, 4, 5)  # loan_to_income, income_verified, credit_age_months
    least = {name: APPLICATION[name] for name in ("application_id", "borrower_id", "requested_amount", "term_months")}
    least |= {"purpose": "car", "annual_income": 48_000.0}

    warned, not_warned = (score(own_client, body)["warnings"] for body in (least, least | {"income_verified": True}))

    assert warned == [
        "2 of 3 features that are usually known from the request are missing: this score rests on little information"
    ]
    assert not_warned == []


def test_what_is_usually_known_is_made_of_the_request_alone(client: Client) -> None:
    """Neither the borrower's arrears nor the rate of the purpose, which training rows had too."""
    served: ServedDeployment = client.app.dependencies["deployments"].dependency().served(None)

    assert served.champion.usually_known == (0, 1, 2, 3, 4, 5)


@pytest.fixture
def require(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], object]:
    """Write the lender's file, with these required fields."""
    monkeypatch.setattr(lenders, "DIRECTORY", tmp_path)
    return lambda fields: (tmp_path / f"{SOURCE}.yml").write_text(f"request: {{required: {fields}}}")


def test_fields_that_the_lender_requires_are_required_of_every_request(
    own_home: ServingHome, require: Callable[[str], object]
) -> None:
    require("[annual_income, borrower_id]")
    lacking = {name: value for name, value in APPLICATION.items() if name != "annual_income"} | {"borrower_id": None}
    header, line = ",".join(lacking), ",".join("" if value is None else str(value) for value in lacking.values())
    with TestClient(create_app(own_home.settings)) as client:
        client.headers.update(own_home.headers)
        refused = client.post("/v1/scores", json=lacking)
        [row] = client.post("/v1/scores/batch", json={"applications": [lacking]}).json()["results"]
        as_csv = client.post("/v1/batches", content=f"{header}\n{line}\n", headers={"Content-Type": "text/csv"})
        accepted = client.post("/v1/scores", json=APPLICATION)
        described = {each["name"]: each["required"] for each in client.get("/v1/model").json()["inputs"]}
        schema = client.get("/schema/openapi.json").json()["components"]["schemas"]["ScoreRequest"]

    assert refused.status_code == 400
    assert {each["field"] for each in refused.json()["errors"]} == {"annual_income", "borrower_id"}
    assert {each["field"] for each in row["problem"]["errors"]} == {"annual_income", "borrower_id"}
    assert [each["field"] for each in as_csv.json()["errors"]] == ["annual_income"]
    assert accepted.status_code == 200
    assert (described["annual_income"], described["borrower_id"], described["income_verified"]) == (True, True, False)
    assert {"annual_income", "borrower_id"} <= set(schema["required"])


def test_a_required_field_that_the_model_does_not_read_is_refused_by_name(
    own_home: ServingHome, require: Callable[[str], object]
) -> None:
    require("[shoe_size]")
    with TestClient(create_app(own_home.settings)) as client:
        ready = client.get("/readyz")

    assert ready.status_code == 503
    reason = ready.json()["reasons"][0]
    assert "request.required in the lender's file (warehouse/lenders/) must name fields of a score request" in reason
    assert "found shoe_size" in reason


def test_ids_of_decisions_sort_by_time(client: Client) -> None:
    ids = [score(client, APPLICATION)["decision_id"] for _ in range(3)]

    milliseconds = [int(decision_id.replace("-", "")[:12], 16) for decision_id in ids]
    assert milliseconds == sorted(milliseconds)
    assert len(set(ids)) == 3
    assert all(decision_id[14] == "7" for decision_id in ids)


def test_what_is_answered_is_what_is_logged(client: Client, shared_home: ServingHome) -> None:
    answer = score(client, RISKY)

    logged = decision_log.find_decision(shared_home.settings, answer["decision_id"])
    assert (logged.probability, logged.decision, logged.band) == (
        answer["probability"],
        answer["decision"],
        answer["band"],
    )
    assert json.loads(logged.reasons) == answer["reasons"]
    assert json.loads(logged.inputs)["max_months_past_due_6m"] == 5
    assert (logged.source, logged.route, logged.features_as_of) == ("simulated", "online", AS_OF)


def test_a_bad_request_names_field_rule_and_value(client: Client) -> None:
    document = problem(client, APPLICATION | {"term_months": 0, "purpose": "Car", "colour": "red"}, 400)

    assert document["errors"] == [
        {"field": "term_months", "rule": "must be a whole number from 1 to 480", "found": 0},
        {"field": "purpose", "rule": "must be one of car, debt_consolidation, other", "found": "Car"},
        {"field": "colour", "rule": "is not a field of this request", "found": "red"},
    ]


def test_a_refused_request_leaves_no_decision(own_client: Client, own_home: ServingHome) -> None:
    problem(own_client, {}, 400)

    assert decision_log.count_pending(own_home.settings) == 0


@pytest.mark.parametrize(
    ("decided_at", "rule"),
    [
        (AS_OF - timedelta(seconds=1), "must not be before the history used, which is as of 2022-01-01T00:00:00Z"),
        (utc_now() + timedelta(days=1), "must not be in the future"),
        (datetime(9999, 12, 31), "must not be in the future"),
    ],
)
def test_a_decision_is_neither_in_the_future_nor_before_its_history(
    client: Client, decided_at: datetime, rule: str
) -> None:
    """A backdated decision would be scored with what became known after it."""
    document = problem(client, APPLICATION | {"decided_at": decided_at.isoformat() + "Z"}, 400)

    assert document["errors"][0]["field"] == "decided_at"
    assert document["errors"][0]["rule"].startswith(rule)


def test_an_offset_is_turned_into_utc(client: Client) -> None:
    answer = score(client, APPLICATION | {"decided_at": "2022-03-01T01:00:00+02:00"})

    assert answer["decided_at"] == "2022-02-28T23:00:00Z"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"a" 1}', "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"application_id": "\\ud800"}', "application/json", 400),
        (b'{"application_id": NaN}', "application/json", 400),
        (b'{"requested_amount": Infinity}', "application/json", 400),
        (b'{"term_months": 36, "term_months": 12}', "application/json", 400),
        (b'{"application_id": ' + b"[" * 9_000 + b"]" * 900 + b"}", "application/json", 400),
        (gzip.compress(b"{}", mtime=0), "application/json", 415),
        ('{"application_id": "x"}'.encode("utf-16"), "application/json; charset=utf-16", 400),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b"{}", "multipart/form-data; boundary=x", 415),
        (b"<a/>", "application/xml", 415),
        (b"{" + b" " * 10_000 + b"}", "application/json", 413),
    ],
)
def test_a_body_that_is_no_request_is_a_problem(client: Client, body: bytes, content_type: str, status: int) -> None:
    document = problem(client, body, status, **{"Content-Type": content_type})

    assert document["detail"]


@pytest.mark.parametrize("text", ["'; drop table decisions; --", "{{7*7}}", "../../etc/passwd", "=1+1"])
def test_text_that_means_something_elsewhere_is_text_here(client: Client, shared_home: ServingHome, text: str) -> None:
    answer = score(client, APPLICATION | {"application_id": text, "borrower_id": text})

    logged = decision_log.find_decision(shared_home.settings, answer["decision_id"])
    assert (logged.application_id, logged.borrower_id) == (text, text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
            for name in [*APPLICATION, "decided_at"]
        },
    )
)
def test_no_values_of_the_known_fields_make_it_fail(client: Client, changes: dict[str, object]) -> None:
    """Prevents a 500: whatever passes validation can be scored, logged and answered."""
    body = json.dumps(APPLICATION | changes).replace("Infinity", "1e999")

    response = client.post("/v1/scores", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code in (200, 400, 422), response.text


def test_the_same_request_with_the_same_idempotency_key_is_one_decision(
    own_client: Client, own_home: ServingHome
) -> None:
    """A caller that saw a time-out may send it again without deciding twice."""
    first = score(own_client, RISKY, **{"Idempotency-Key": "retry-1"})
    again = score(own_client, RISKY, **{"Idempotency-Key": "retry-1"})
    other = score(own_client, RISKY, **{"Idempotency-Key": "retry-2"})

    assert again == first
    assert other["decision_id"] != first["decision_id"]
    assert decision_log.count_pending(own_home.settings) == 2


def test_two_workers_that_get_one_request_at_once_make_one_decision(
    own_client: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second looked for the key before the first had decided: it must answer what the first did."""
    first = score(own_client, RISKY, **{"Idempotency-Key": "retry-1"})
    look, looks = Outbox.find_by_key, iter([True])
    monkeypatch.setattr(Outbox, "find_by_key", lambda *given: None if next(looks, False) else look(*given))

    second = score(own_client, RISKY, **{"Idempotency-Key": "retry-1"})

    assert second == first
    assert decision_log.count_pending(own_home.settings) == 1


def test_a_key_whose_decision_left_the_log_is_a_new_key(own_client: Client, own_home: ServingHome) -> None:
    """Under the old decision's id the new one would never reach the lake, and a replay would show the wrong one."""
    home, key = own_home.settings, {"Idempotency-Key": "retry-1"}
    first = score(own_client, RISKY, **key)
    decision_log.ingest_into_lake(home)
    decision_log.prune(home, older_than=KEY_LIFE)
    assert score(own_client, RISKY, **key) == first

    decision_log.prune(home, older_than=timedelta(0))
    other = score(own_client, APPLICATION, **key)
    decision_log.ingest_into_lake(home)
    decision_log.prune(home, older_than=timedelta(0))

    assert other["decision_id"] != first["decision_id"]
    for answer in (first, other):
        found = replay(home, answer["decision_id"])
        assert (found.equal, found.decision.probability) == (True, answer["probability"])


def test_callers_are_told_how_long_a_key_lives(client: Client) -> None:
    description = client.get("/schema/openapi.json").json()
    promise = f"{KEY_LIFE.total_seconds() / 3600:g} hours"

    for path in ("/v1/scores", "/v1/batches"):
        (key,) = [
            each for each in description["paths"][path]["post"]["parameters"] if each["name"] == "Idempotency-Key"
        ]
        assert promise in key["description"]
    assert f"Rely on a key for {promise}" in (REPOSITORY / "docs" / "callers.md").read_text()


def test_an_idempotency_key_cannot_name_two_requests(client: Client) -> None:
    score(client, RISKY, **{"Idempotency-Key": "retry-1"})

    document = problem(client, APPLICATION, 422, **{"Idempotency-Key": "retry-1"})

    assert document["type"].endswith("idempotency-key-reused")


def test_a_batch_scores_good_rows_beside_bad_ones(own_client: Client, own_home: ServingHome) -> None:
    response = own_client.post("/v1/scores/batch", json={"applications": [APPLICATION, {"term_months": 0}, RISKY]})

    answer = response.json()
    assert response.status_code == 200
    assert (answer["n_scored"], answer["n_refused"]) == (2, 1)
    assert [row["index"] for row in answer["results"]] == [0, 1, 2]
    assert answer["results"][0]["score"]["decision"] == "approve"
    assert answer["results"][1]["problem"]["status"] == 400
    assert {error["field"] for error in answer["results"][1]["problem"]["errors"]} >= {"application_id", "term_months"}
    assert decision_log.count_pending(own_home.settings) == 2


def test_the_first_refused_rows_of_a_batch_say_which_names_may_have_been_meant(shared_home: ServingHome) -> None:
    """To look for them took most of a batch's time where every row had twenty, and others waited."""
    misspelt = APPLICATION | {"term_month": 36}
    body = {"applications": [APPLICATION, *[misspelt] * 12]}
    with TestClient(create_app(shared_home.settings, ServingOptions(batch_rows=13))) as client:
        batch = client.post("/v1/scores/batch", json=body, headers=shared_home.headers).json()

    rules = [row["problem"]["errors"][0]["rule"] for row in batch["results"][1:]]
    meant = "is not a field of this request; did you mean term_months?"
    assert rules == [meant] * 10 + ["is not a field of this request"] * 2


def test_a_batch_row_gets_the_score_it_gets_alone(client: Client) -> None:
    at = {"decided_at": "2022-03-01T12:00:00Z"}
    alone = score(client, RISKY | at)

    batch = client.post("/v1/scores/batch", json={"applications": [APPLICATION | at, RISKY | at]}).json()

    assert batch["results"][1]["score"]["probability"] == alone["probability"]


@pytest.mark.parametrize(
    "body", [{}, {"applications": []}, {"applications": [{}] * 4}, {"applications": {}}, {"rows": []}]
)
def test_a_batch_that_is_not_a_list_within_the_limit_is_refused(client: Client, body: Any) -> None:
    response = client.post("/v1/scores/batch", json=body)

    assert response.status_code == 400
    assert response.json()["errors"][0]["rule"].endswith("a list of 1 to 3 applications")
