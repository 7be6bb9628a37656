"""Two versions served at once, each with its own features and inputs: in shadow, and with a share of the applicants."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.bundle.scorer import Scorer
from ml.decisions.freshness import HistoryPolicy
from ml.decisions.online_inputs import Keys, OnlineInputs
from ml.decisions.replay import replay
from ml.monitoring.performance import record_performance
from ml.monitoring.samples import SHADOW_PREDICTIONS, MonitoredModel
from ml.registry.deployment import CanaryPlan, Challenger, read_deployment, serve
from ml.registry.registered_version import deployment_of
from ml.rollout.challenge import end_challenge
from ml.rollout.promotion import publish, rollback
from serving.app import create_app
from serving.options import ServingOptions
from serving.scoring.decision_ids import shadow_decision_id
from tests.model_factory import MODEL_NAME, SOURCE, publish_model, register_model
from tests.second_version import MORE, VERSION, challenge_with_second, second_bundle
from tests.serving_home import APPLICATION, AS_OF, RISKY, ServingHome, until_ready_says
from warehouse import decision_log
from warehouse.decision_log import ShadowDecision, ingest_into_lake
from warehouse.errors import ExpressionDomainError
from warehouse.lake.connection import connect, writer
from warehouse.online_store import cohort_key, open_store

Client = TestClient[Litestar]
CHAMPION, CHALLENGER = f"{MODEL_NAME} version 1, the champion", f"{MODEL_NAME} version 2, the challenger"


@pytest.fixture(autouse=True)
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's aliases are tested in tests/integration/test_registry.py."""
    for name in ("set_champion", "set_challenger", "drop_challenger"):
        monkeypatch.setattr(f"ml.registry.registry.{name}", lambda *_: None)


@pytest.fixture
def shadowed(own_client: Client, own_home: ServingHome) -> Client:
    """Version 2 in shadow of version 1."""
    challenge_with_second(own_home.settings)
    until_ready_says(own_client, _challenger_is(VERSION))
    return own_client


@pytest.fixture
def split(own_client: Client, own_home: ServingHome) -> Client:
    """Version 2 answers half of the applicants."""
    challenge_with_second(own_home.settings, share=0.5)
    until_ready_says(own_client, _challenger_is(VERSION))
    return own_client


def score(client: Client, body: Any, **headers: str) -> dict[str, Any]:
    response = client.post("/v1/scores", json=body, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def errors(client: Client, body: Any) -> dict[str, str]:
    response = client.post("/v1/scores", json=body)
    assert response.status_code == 400, response.text
    return {error["field"]: error["rule"] for error in response.json()["errors"]}


def in_shadow(home: ServingHome, answer: dict[str, Any]) -> ShadowDecision | None:
    """What the challenger in shadow would have decided on the occasion of an answer."""
    deadline = time.monotonic() + 5
    connection = decision_log.connect(home.settings)
    assert connection is not None
    try:
        while time.monotonic() < deadline:
            found = decision_log.find_shadow_in_outbox(connection, shadow_decision_id(answer["decision_id"]))
            if found is not None:
                return found
            time.sleep(0.02)
    finally:
        connection.close()
    return None


def test_a_shadow_scores_what_the_champion_answered_and_is_never_told(shadowed: Client, own_home: ServingHome) -> None:
    answer = score(shadowed, RISKY | MORE)

    assert answer["model"]["version"] == 1
    shadow = in_shadow(own_home, answer)
    assert shadow is not None
    assert (shadow.model_version, shadow.feature_version, shadow.role) == (2, "v2", "shadow")
    assert (shadow.answered_decision_id, shadow.application_id) == (answer["decision_id"], "app-2")
    assert json.loads(shadow.inputs)["employment_years"] == 4.0
    assert json.loads(shadow.inputs)["max_months_past_due_6m"] == 5
    assert shadowed.get(f"/v1/decisions/{shadow.decision_id}").status_code == 404
    assert replay(own_home.settings, shadow.decision_id).equal


def test_the_champion_answers_a_request_that_its_shadow_cannot_take(shadowed: Client, own_home: ServingHome) -> None:
    """A version on trial must not refuse anybody: without employment_years version 2 has nothing to say."""
    answer = score(shadowed, APPLICATION)

    assert answer["model"]["version"] == 1
    assert 'reason="not_scorable",role="shadow"' in shadowed.get("/metrics").text
    assert decision_log.count_pending(own_home.settings) == 1


@pytest.mark.parametrize("share", [None, 0.999], ids=["in shadow", "answering nearly everybody"])
def test_old_records_that_only_the_challenger_reads_refuse_nobody(own_home: ServingHome, share: float | None) -> None:
    """The champion's own history is fresh; a table that only version 2 looks things up in was not refreshed."""
    at = AS_OF + timedelta(hours=1)
    _write_region(own_home, as_of=AS_OF - timedelta(days=90))
    challenge_with_second(own_home.settings, share=share)
    options = ServingOptions(history=HistoryPolicy(max_age=timedelta(days=2), stale="refuse"))
    with TestClient(create_app(own_home.settings, options)) as client:
        client.headers.update(own_home.headers)
        answer = score(client, APPLICATION | MORE | {"decided_at": f"{at.isoformat()}Z"})
        before = score(client, APPLICATION | MORE | {"decided_at": f"{AS_OF.isoformat()}Z", "region": "south"})

    decision = decision_log.find_decision(own_home.settings, answer["decision_id"])
    assert answer["model"]["version"] == 1
    assert (decision.history, decision.role) == ("fresh", "champion" if share is None else "fallback")
    assert before["model"]["version"] == (1 if share is None else 2), "no record of a region is no old one"


def test_a_store_that_is_away_refuses_nobody_whose_version_needs_it_not(
    own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the champion looked nothing up, and its shadow a region."""
    challenge_with_second(own_home.settings)
    shutil.rmtree(own_home.settings.online_store)
    with TestClient(create_app(own_home.settings)) as client:
        client.headers.update(own_home.headers)
        with monkeypatch.context() as patched:
            patched.setattr("ml.decisions.online_inputs.OnlineInputs.keys", _region_alone)
            answer = score(client, APPLICATION | MORE)
        refused = client.post("/v1/scores", json=APPLICATION | MORE)

    assert answer["model"]["version"] == 1
    assert refused.status_code == 503


def test_what_only_the_shadow_takes_is_checked_by_nobody_but_it(shadowed: Client) -> None:
    assert score(shadowed, APPLICATION | {"employment_years": -1.0})["model"]["version"] == 1
    assert errors(shadowed, APPLICATION | {"employment_year": 1.0}) == {
        "employment_year": "is not a field of this request; did you mean employment_years?"
    }


def test_shadows_reach_a_table_of_their_own_once(shadowed: Client, own_home: ServingHome) -> None:
    """Nobody who reads serving.predictions takes them for decisions; their own version is measured on them."""
    answers = [score(shadowed, body | MORE) for body in (RISKY, APPLICATION)]
    assert all(in_shadow(own_home, answer) is not None for answer in answers)

    first, again = ingest_into_lake(own_home.settings), ingest_into_lake(own_home.settings)

    assert (first.n_decisions, first.n_shadows, again.n_shadows) == (2, 2, 0)
    with writer("labels", own_home.settings) as con:
        con.execute(
            "create table training.lbl_default as select * from (values "
            "('app-1', 'simulated', false), ('app-2', 'simulated', true)) as t(application_id, source, is_default)"
        )
    with connect(own_home.settings) as con:
        decided = con.execute("select distinct model_version, role from serving.predictions").fetchall()
        shadows = con.execute(
            "select count(*) from serving.shadow_predictions join serving.predictions as answered "
            "on answered.decision_id = answered_decision_id where answered.model_version = 1"
        ).fetchone()
    of_champion = record_performance(own_home.settings, MonitoredModel(SOURCE, MODEL_NAME, 1))
    of_shadow = record_performance(own_home.settings, MonitoredModel(SOURCE, MODEL_NAME, 2, SHADOW_PREDICTIONS))
    nothing = record_performance(own_home.settings, MonitoredModel(SOURCE, MODEL_NAME, 2))
    assert decided == [(1, "champion")]
    assert shadows == (2,)
    assert [(row.n_decisions, row.auc) for row in of_shadow] == [(2, 1.0)]
    assert [row.n_decisions for row in of_champion] == [2]
    assert nothing == ()


def test_a_shadow_replays_from_the_lake(shadowed: Client, own_home: ServingHome) -> None:
    shadow = in_shadow(own_home, score(shadowed, RISKY | MORE))
    assert shadow is not None
    ingest_into_lake(own_home.settings)
    decision_log.prune(own_home.settings, older_than=timedelta(0))

    found = replay(own_home.settings, shadow.decision_id)

    assert found.equal
    assert isinstance(found.decision, ShadowDecision)


def test_a_shadow_that_cannot_keep_up_leaves_applications_out(
    shadowed: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a queue without end, and a champion that waits for a version on trial."""
    monkeypatch.setattr("serving.scoring.shadow.MOST_WAITING", 0)

    assert score(shadowed, APPLICATION | MORE)["model"]["version"] == 1
    assert 'reason="left_out",role="shadow"' in shadowed.get("/metrics").text
    assert decision_log.count_pending(own_home.settings) == 1


def test_each_applicant_has_one_version_whatever_they_ask(split: Client) -> None:
    versions: dict[str, set[int]] = {}
    for number in range(40):
        body = APPLICATION | MORE | {"borrower_id": f"b-{number % 20}", "application_id": f"app-{number}"}
        versions.setdefault(body["borrower_id"], set()).add(score(split, body)["model"]["version"])

    assert all(len(seen) == 1 for seen in versions.values())
    assert {version for seen in versions.values() for version in seen} == {1, 2}


def test_the_log_tells_who_answered_and_each_replays_with_its_own_version(split: Client, own_home: ServingHome) -> None:
    roles = {}
    for number in range(20):
        answer = score(split, RISKY | MORE | {"borrower_id": None, "application_id": f"app-{number}"})
        logged = decision_log.find_decision(own_home.settings, answer["decision_id"])
        roles.setdefault((logged.role, logged.model_version, logged.feature_version), logged.decision_id)

    assert set(roles) == {("champion", 1, "v1"), ("challenger", 2, "v2")}
    assert all(replay(own_home.settings, decision_id).equal for decision_id in roles.values())
    assert split.get(f"/v1/decisions/{roles['challenger', 2, 'v2']}").json()["role"] == "challenger"


def test_a_field_that_one_answering_version_needs_is_required_and_named(split: Client) -> None:
    """A caller cannot know who will answer, so every request must be fit for both."""
    found = errors(split, {**APPLICATION, "term_months": 0, "income_verified": "yes", "region": "west"})

    assert found == {
        "term_months": "must be a whole number from 1 to 480",
        "income_verified": f"must be true or false, or null (needed by {CHAMPION})",
        "employment_years": f"is required: a number from 0 to 60 (needed by {CHALLENGER})",
        "region": f"must be one of north, south, or null (needed by {CHALLENGER})",
    }


def test_the_description_and_the_model_page_show_the_union(split: Client) -> None:
    document = split.get("/schema/openapi.json").json()["components"]["schemas"]["ScoreRequest"]
    model = split.get("/v1/model").json()

    assert {"income_verified", "employment_years", "region"} <= set(document["properties"])
    assert "employment_years" in document["required"]
    assert CHALLENGER in document["properties"]["employment_years"]["description"]
    assert split.post("/v1/scores", json=document["examples"][0]).status_code == 200
    assert (model["version"], model["challenger"]["version"], model["challenger"]["share"]) == (1, 2, 0.5)
    inputs = {field["name"]: field for field in model["inputs"]}
    assert inputs["employment_years"] == inputs["employment_years"] | {"required": True, "needed_by": [CHALLENGER]}
    assert inputs["income_verified"]["needed_by"] == [CHAMPION]
    assert "needed_by" not in inputs["term_months"]


def test_in_shadow_the_union_demands_nothing_new(shadowed: Client) -> None:
    document = shadowed.get("/schema/openapi.json").json()["components"]["schemas"]["ScoreRequest"]

    assert "employment_years" in document["properties"]
    assert "employment_years" not in document["required"]
    assert shadowed.get("/v1/model").json()["challenger"]["mode"] == "shadow"


def test_a_request_sent_again_gets_its_answer_though_the_challenge_ended(split: Client, own_home: ServingHome) -> None:
    """An Idempotency-Key holds across versions: fields that the one which answered does not read are no difference."""
    at = {"decided_at": "2022-03-01T13:00:00+01:00"}
    bodies = [RISKY | MORE | at | {"borrower_id": f"b-{number}"} for number in range(8)]
    before = [score(split, body, **{"Idempotency-Key": f"k-{number}"}) for number, body in enumerate(bodies)]

    end_challenge(own_home.settings, by="tests")
    until_ready_says(split, lambda answer: answer["challenger"] is None)
    again = [score(split, body, **{"Idempotency-Key": f"k-{number}"}) for number, body in enumerate(bodies)]
    changes: list[dict[str, Any]] = [{"requested_amount": 1.0}, {"borrower_id": "b-9"}, {"decided_at": "2022-03-01"}]
    others = [
        split.post("/v1/scores", json=bodies[0] | change, headers={"Idempotency-Key": "k-0"}) for change in changes
    ]

    assert again == before
    assert {answer["model"]["version"] for answer in before} == {1, 2}
    assert [other.status_code for other in others] == [400, 400, 400], "the fields of version 2 are unknown now"


def test_a_broken_challenger_leaves_the_champion_alone_and_says_so(own_client: Client, own_home: ServingHome) -> None:
    settings = own_home.settings
    champion = read_deployment(settings)
    assert champion is not None
    placed = deployment_of(settings, register_model(settings, second_bundle(), version=VERSION), by="tests")
    shutil.rmtree(placed.bundle_directory(settings))
    serve(settings, replace(champion, challenger=Challenger("ab", 0.5, placed)), action="challenge", by="tests")

    ready = until_ready_says(own_client, lambda answer: answer["status"] == "degraded")

    assert "the champion answers alone" in ready["reasons"][0]
    assert {score(own_client, APPLICATION | {"borrower_id": f"b-{n}"})["model"]["version"] for n in range(8)} == {1}


def test_a_promotion_makes_the_challenger_champion_and_ends_the_challenge(split: Client, own_home: ServingHome) -> None:
    second = register_model(own_home.settings, second_bundle(), version=VERSION)
    publish(own_home.settings, second, by="tests")

    ready = until_ready_says(split, lambda answer: answer["model"]["version"] == VERSION)

    assert ready["challenger"] is None
    assert score(split, _of_second())["model"]["version"] == VERSION


def test_a_rollback_ends_the_challenge(split: Client, own_home: ServingHome) -> None:
    settings = own_home.settings
    publish_model(settings, version=3, seed=11)
    challenge_with_second(settings)
    until_ready_says(split, lambda answer: answer["model"]["version"] == 3 and answer["challenger"] is not None)

    rollback(settings, by="tests")

    ready = until_ready_says(split, lambda answer: answer["model"]["version"] == 1)
    assert ready["challenger"] is None


def test_an_applicant_whom_the_challenger_fails_is_answered_by_the_champion(
    own_client: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the failure is kept, for it counts against the version: by role, without the applicant."""
    scorer = failing(monkeypatch, ZeroDivisionError("nobody foresaw this"))
    challenge_with_second(own_home.settings, plan=CanaryPlan(steps=(0.5,)))
    until_ready_says(own_client, _challenger_is(VERSION))

    answers = [score(own_client, APPLICATION | MORE | {"borrower_id": f"b-{number}"}) for number in range(12)]

    assert {answer["model"]["version"] for answer in answers} == {1}
    ingest_into_lake(own_home.settings)
    with connect(own_home.settings) as con:
        roles = dict(con.execute("select role, count(*) from serving.predictions group by all").fetchall())
        failures = con.execute(
            "select role, model_version, reason, count(*) from serving.scoring_failures group by all"
        )
        failed = failures.fetchall()
    assert scorer.n_failed > 0
    assert roles == {"fallback": scorer.n_failed, "champion": 12 - scorer.n_failed}
    assert failed == [("challenger", 2, "ZeroDivisionError", scorer.n_failed)]
    assert 'loan_prediction_failures_total{model="' in own_client.get("/metrics").text


def test_what_the_champion_cannot_score_is_refused_and_kept(
    own_client: Client, own_home: ServingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, ExpressionDomainError("ln of -1"))
    second = register_model(own_home.settings, second_bundle(), version=VERSION)
    publish(own_home.settings, second, by="tests")
    until_ready_says(own_client, lambda answer: answer["model"]["version"] == VERSION)

    refused = own_client.post("/v1/scores", json=_of_second())

    assert refused.status_code == 422
    ingest_into_lake(own_home.settings)
    with connect(own_home.settings) as con:
        failed = con.execute("select role, model_version, reason from serving.scoring_failures").fetchall()
    assert failed == [("champion", 2, "not_scorable")]


def _region_alone(inputs: OnlineInputs, borrower_id: str | None, request: Mapping[str, object]) -> Keys:
    return {"region": cohort_key(inputs.source, "region", "north")} if "region" in inputs.cohorts else {}


def _write_region(home: ServingHome, *, as_of: datetime) -> None:
    cohorts = {
        "source": [SOURCE, SOURCE],
        "segment": ["purpose", "region"],
        "segment_value": [APPLICATION["purpose"], "north"],
        "as_of": pa.array([AS_OF, as_of], pa.timestamp("us")),
        "purpose_default_rate": [0.1, None],
        "region_default_rate": [None, 0.1],
    }
    open_store(home.settings).write("cohorts", pa.table(cohorts).to_reader(), snapshot=43)


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> SimpleNamespace:
    """From now on version 2 raises this error for every application but the row of nulls it is loaded with."""
    count, score_features = SimpleNamespace(n_failed=0), Scorer.features

    def features(self: Scorer, inputs: dict[str, Any]) -> Any:
        if self.contract.version == "v2" and inputs["term_months"] is not None:
            count.n_failed += 1
            raise error
        return score_features(self, inputs)

    monkeypatch.setattr(Scorer, "features", features)
    return count


def _of_second() -> dict[str, Any]:
    """An application as version 2 alone takes it."""
    return {name: value for name, value in (APPLICATION | MORE).items() if name != "income_verified"}


def _challenger_is(version: int) -> Callable[[dict[str, Any]], bool]:
    return lambda answer: bool(answer["challenger"]) and answer["challenger"]["version"] == version
