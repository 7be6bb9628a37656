"""The rest of the API: decisions, outcomes, model, health, metrics, the description, and errors of every kind."""

import json
import re
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.registry.deployment import serve
from ml.registry.registered_version import deployment_of
from serving.access.keys import KeyStore
from serving.app import create_app
from serving.scoring.scoring import ScoringService
from serving.team import TeamLink
from tests.model_factory import publish_model, register_model, shared_bundle
from tests.serving_home import APPLICATION, RISKY, ServingHome, furnish, until_ready_says
from warehouse import decision_log
from warehouse.decision_log import ingest_into_lake
from warehouse.lake.connection import connect
from warehouse.settings import Settings

Client = TestClient[Litestar]


def test_a_decision_is_read_back_with_what_made_it(client: Client) -> None:
    answer = client.post("/v1/scores", json=RISKY).json()

    logged = client.get(f"/v1/decisions/{answer['decision_id']}").json()

    assert {name: logged[name] for name in ("probability", "decision", "band", "reasons", "model", "decided_at")} == {
        name: answer[name] for name in ("probability", "decision", "band", "reasons", "model", "decided_at")
    }
    assert logged["inputs"]["requested_amount"] == 90_000.0
    assert logged["features"]["loan_to_income"] == 10.0


def test_a_decision_is_found_in_the_lake_after_the_outbox_let_it_go(own_client: Client, own_home: ServingHome) -> None:
    answer = own_client.post("/v1/scores", json=RISKY).json()
    ingest_into_lake(own_home.settings)
    decision_log.prune(own_home.settings, older_than=timedelta(0))

    logged = own_client.get(f"/v1/decisions/{answer['decision_id']}")

    assert logged.status_code == 200
    assert logged.json()["probability"] == answer["probability"]


def test_a_decision_is_not_said_to_be_none_while_the_lake_cannot_be_read(own_home: ServingHome) -> None:
    away = replace(own_home.settings, catalog="host=127.0.0.1 port=1 password=hunter2")
    with TestClient(create_app(away), raise_server_exceptions=False) as client:
        answer = client.get("/v1/decisions/of-last-year", headers=own_home.headers)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "the team's PostgreSQL server (LOANLAKE_CATALOG) must answer" in answer.json()["detail"]
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("decision_id", ["nothing", "a' or 1=1 --", "0" * 500])
def test_an_unknown_decision_is_a_problem(client: Client, decision_id: str) -> None:
    response = client.get(f"/v1/decisions/{decision_id}")

    assert response.status_code == 404
    assert response.json()["type"].endswith("unknown-decision")


def test_an_outcome_reaches_the_lake_once_however_often_it_is_sent(own_client: Client, own_home: ServingHome) -> None:
    report = {
        "application_id": "app-1",
        "is_default": True,
        "outcome_at": "2022-06-01T02:00:00+02:00",
        "loss_amount": 250,
    }

    ids = {own_client.post("/v1/outcomes", json=report).json()["outcome_id"] for _ in range(3)}

    ingest_into_lake(own_home.settings)
    con = connect(own_home.settings)
    rows = con.execute(
        "select outcome_id, source, application_id, is_default, outcome_at::varchar, loss_amount "
        "from serving.reported_outcomes"
    ).fetchall()
    con.close()
    assert rows == [(ids.pop(), "simulated", "app-1", True, "2022-06-01 00:00:00", 250.0)]
    assert not ids


def test_a_corrected_outcome_is_another_outcome(client: Client) -> None:
    report = {"application_id": "app-1", "is_default": False, "outcome_at": "2022-06-01T00:00:00Z"}

    first = client.post("/v1/outcomes", json=report).json()
    corrected = client.post("/v1/outcomes", json=report | {"is_default": True}).json()

    assert first["outcome_id"] != corrected["outcome_id"]


def test_a_correction_is_taken_back_by_a_report_with_a_key(own_client: Client, own_home: ServingHome) -> None:
    """Without one it is the first report come twice, and the correction would stand."""
    report = {"application_id": "app-1", "is_default": True, "outcome_at": "2022-06-01T00:00:00Z"}
    first = own_client.post("/v1/outcomes", json=report).json()
    own_client.post("/v1/outcomes", json=report | {"is_default": False})

    headers = {"Idempotency-Key": "back-1"}
    back = [own_client.post("/v1/outcomes", json=report, headers=headers).json()["outcome_id"] for _ in range(2)]

    assert back[0] == back[1] != first["outcome_id"]
    ingest_into_lake(own_home.settings)
    with closing(connect(own_home.settings)) as con:
        told = con.execute("select is_default from serving.reported_outcomes order by known_at").fetchall()
    assert told == [(True,), (False,), (True,)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"outcome_at": "2999-01-01T00:00:00Z"}, "outcome_at"),
        ({"is_default": "no"}, "is_default"),
        ({"loss_amount": -1}, "loss_amount"),
        ({"loss_amount": 1_000_000_001}, "loss_amount"),
        ({"loss": 1}, "loss"),
    ],
)
def test_a_bad_outcome_names_the_field(client: Client, change: dict[str, Any], field: str) -> None:
    report = {"application_id": "app-1", "is_default": False, "outcome_at": "2022-06-01T00:00:00Z"}

    response = client.post("/v1/outcomes", json=report | change)

    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_the_model_page_gives_version_metrics_and_inputs(client: Client) -> None:
    model = client.get("/v1/model").json()

    assert (model["name"], model["version"], model["feature_version"]) == ("default_risk_simulated", 1, "v1")
    assert 0.5 < model["metrics"]["candidate"]["auc"] < 1
    assert "logistic" in model["metrics"]
    assert {field["name"]: field["rule"] for field in model["inputs"]}["term_months"] == "a whole number from 1 to 480"


def test_a_home_without_a_model_starts_and_says_so(home: Settings) -> None:
    key = KeyStore(home.keys).create("tests", ["score"])
    with TestClient(create_app(home)) as client:
        ready, alive = client.get("/readyz"), client.get("/healthz")
        score = client.post("/v1/scores", json=APPLICATION, headers={"X-API-Key": key})

    assert (ready.status_code, alive.status_code, score.status_code) == (503, 200, 503)
    assert ready.json()["reasons"] == ["no model is deployed: `loanlake run` trains and publishes one"]
    assert score.headers["retry-after"] == "10"


def test_without_the_online_store_nothing_is_scored(home: Settings) -> None:
    """Prevents every borrower from silently being scored as if unknown."""
    publish_model(home)
    key = KeyStore(home.keys).create("tests", ["score"])
    with TestClient(create_app(home)) as client:
        ready = client.get("/readyz")
        score = client.post("/v1/scores", json=APPLICATION, headers={"X-API-Key": key})

    assert (ready.status_code, score.status_code) == (503, 503)
    assert "online store" in ready.json()["reasons"][0]


def test_a_machine_behind_its_team_is_degraded_and_goes_on(
    own_client: TestClient[Litestar], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TeamLink, "limitation", "not in step with the team's server for 45 s")

    ready = own_client.get("/readyz")

    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["reasons"] == ["not in step with the team's server for 45 s"]


def test_a_decision_that_cannot_be_made_durable_is_not_answered(home: Settings) -> None:
    """A 200 promises that the decision survives; a log that cannot be written must never be answered around."""
    serving_home = furnish(home)
    home.outbox.mkdir(parents=True)  # a directory where the file should be
    with TestClient(create_app(home)) as client:
        score = client.post("/v1/scores", json=APPLICATION, headers=serving_home.headers)
        ready = client.get("/readyz")
        home.outbox.rmdir()
        ready_again = client.get("/readyz")
        score_again = client.post("/v1/scores", json=APPLICATION, headers=serving_home.headers)

    assert (score.status_code, ready.status_code) == (503, 503)
    assert score.headers["content-type"] == "application/problem+json"
    assert "cannot be written" in ready.json()["reasons"][0]
    assert (ready_again.status_code, score_again.status_code) == (200, 200)


def test_an_unexpected_error_is_a_problem_without_a_traceback(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("annual income 48000 of Jane Doe")

    monkeypatch.setattr(ScoringService, "_decide", fail)

    response = client.post("/v1/scores", json=APPLICATION)

    document = response.json()
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in response.text
    assert "Jane Doe" not in response.text + caplog.text
    assert any(getattr(record, "incident", None) == document["incident"] for record in caplog.records)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/schema/nothing", 404),
        ("GET", "/schema/assets/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v1/scores", 405),
        ("DELETE", "/v1/decisions/x", 405),
    ],
)
def test_paths_and_methods_that_do_not_exist_are_problems(client: Client, method: str, path: str, status: int) -> None:
    response = client.request(method, path)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


def test_metrics_count_by_route_and_never_by_path(own_client: Client) -> None:
    """A label for each decision id or probed path would grow without bound."""
    own_client.post("/v1/scores", json=APPLICATION)
    own_client.get("/v1/decisions/some-id")
    own_client.get("/wp-admin/secret-path")

    text = own_client.get("/metrics").text

    assert 'loanlake_http_requests_total{method="POST",route="/v1/scores",status="200"} 1.0' in text
    assert (
        'decision="approve",lender="simulated",model="default_risk_simulated",role="champion",version="1"} 1.0' in text
    )
    assert 'loanlake_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert "some-id" not in text
    assert "wp-admin" not in text


def test_the_description_carries_the_contracts_examples(client: Client) -> None:
    document = client.get("/schema/openapi.json").json()

    body = document["paths"]["/v1/scores"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    example = schema["examples"][0]
    assert schema["properties"]["purpose"]["enum"] == ["car", "debt_consolidation", "other"]
    assert client.post("/v1/scores", json=example).status_code == 200


@pytest.mark.parametrize("name", ["ScoreRequest", "ScoreListRequest", "OutcomeReport", "ApprovalRequest"])
def test_the_description_says_that_unknown_fields_are_refused(client: Client, name: str) -> None:
    document = client.get("/schema/openapi.json").json()

    assert document["components"]["schemas"][name]["additionalProperties"] is False


@pytest.mark.parametrize(("path", "allowed"), [("/v1/batches", "GET, OPTIONS, POST"), ("/v1/models", "GET, OPTIONS")])
def test_options_name_every_method_of_a_path(client: Client, path: str, allowed: str) -> None:
    answer = client.options(f"{path}?source=x")

    assert (answer.status_code, answer.headers["Allow"]) == (204, allowed)


def test_every_error_of_the_description_is_a_problem_with_a_true_example(client: Client) -> None:
    document = client.get("/schema/openapi.json").json()

    wrong = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if int(status) < 400 or path == "/readyz":
                    continue
                content = answer["content"]["application/problem+json"]
                [example] = [each["value"] for each in content["examples"].values()]
                scopes = [scope for each in operation.get("security", []) for scope in each.get("key", ())]
                scope = (scopes or ["metrics"])[0] if status == "403" else ""
                is_true = (example["status"], example.get("scope", "")) == (int(status), scope)
                if content["schema"] != {"$ref": "#/components/schemas/ProblemDocument"} or not is_true:
                    wrong.append(f"{method} {path} {status}")
    assert wrong == []


@pytest.mark.parametrize(
    ("method", "path", "status", "headers"),
    [
        ("GET", "/v1/decisions/nothing", 404, {}),
        ("GET", "/v1/batches/nothing", 404, {}),
        ("POST", "/v1/batches/nothing/cancel", 404, {}),
        ("GET", "/v1/lenders/nothing/models", 404, {}),
        ("GET", "/v1/decisions?limt=1", 400, {}),
        ("POST", "/v1/scores", 400, {"Content-Type": "application/json"}),
        ("POST", "/v1/scores", 415, {"Content-Type": "text/plain"}),
        ("GET", "/v1/model", 401, {"Authorization": "Bearer ll_x_y"}),
    ],
)
def test_what_the_description_shows_of_an_error_is_what_is_answered(
    client: Client, method: str, path: str, status: int, headers: dict[str, str]
) -> None:
    document = client.get("/schema/openapi.json").json()
    names = {"decisions": "{decision_id}", "batches": "{batch_id}", "lenders": "{lender}"}
    template = path.partition("?")[0].replace("nothing", names.get(path.split("/")[2].partition("?")[0], ""))
    described = document["paths"][template][method.lower()]["responses"][str(status)]["content"]
    [example] = [each["value"] for each in described["application/problem+json"]["examples"].values()]

    answer = client.request(method, path, content=b"{}" if method == "POST" else None, headers=headers)

    assert answer.status_code == status
    assert {name: answer.json()[name] for name in ("type", "title", "status")} == {
        name: example[name] for name in ("type", "title", "status")
    }


def test_each_operation_is_named_by_a_verb_and_by_no_other(client: Client) -> None:
    """Clients are generated from these names."""
    document = client.get("/schema/openapi.json").json()
    verbs = ("score", "create", "list", "get", "cancel", "retry", "report", "approve", "check", "read")

    names = [each["operationId"] for operations in document["paths"].values() for each in operations.values()]

    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(f"({'|'.join(verbs)})[A-Z][A-Za-z]+", name)] == []
    assert [header for header in _headers_of(document) if "schema" not in header] == []


def _headers_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    operations = [each for by_method in document["paths"].values() for each in by_method.values()]
    answers = [answer for operation in operations for answer in operation["responses"].values()]
    return [header for answer in answers for header in answer.get("headers", {}).values()]


def test_every_reference_of_the_description_leads_somewhere(client: Client) -> None:
    document = client.get("/schema/openapi.json").json()

    references = set(_references(document))
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references <= known
    assert "#/components/schemas/ScoredApplication" in references


def test_the_page_loads_nothing_from_other_hosts(client: Client) -> None:
    """Swagger UI comes from a package: a bank's closed network has no CDN."""
    page = client.get("/schema").text

    assert "http://" not in page.replace("http://json-schema.org", "")
    assert "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "swagger-ui.css"):
        assert f"/schema/assets/{asset}" in page
        assert client.get(f"/schema/assets/{asset}").status_code == 200


def test_scoring_imports_no_heavy_library(home: Settings) -> None:
    """An API process that imports pandas, MLflow, XGBoost or DuckDB starts in ten seconds instead of two."""
    serving_home = furnish(home)
    program = f"""
import json, sys
from litestar.testing import TestClient
from serving.app import create_app
from warehouse.settings import Settings
with TestClient(create_app(Settings.from_environment({{"LOANLAKE_HOME": {str(home.home)!r}}}))) as client:
    response = client.post("/v1/scores", json={APPLICATION!r}, headers={serving_home.headers!r})
assert response.status_code == 200, response.text
heavy = {{"pandas", "mlflow", "dagster", "xgboost", "duckdb", "sklearn", "evidently", "dbt", "matplotlib", "pyarrow"}}
print(json.dumps(sorted(heavy & set(sys.modules))))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == []


def test_a_broken_new_bundle_leaves_the_old_model_serving(own_home: ServingHome, own_client: Client) -> None:
    settings = own_home.settings
    assert own_client.get("/readyz").json()["status"] == "ready"
    placed = deployment_of(settings, register_model(settings, shared_bundle(seed=11), version=2), by="tests")
    shutil.rmtree(placed.bundle_directory(settings))
    serve(settings, placed, action="publish", by="tests")

    ready = until_ready_says(own_client, lambda answer: answer["status"] == "degraded")

    assert "cannot be served" in ready["reasons"][0]
    assert own_client.get("/readyz").status_code == 200
    answer = own_client.post("/v1/scores", json=APPLICATION).json()
    assert answer["model"]["version"] == 1


def test_a_new_deployment_is_served_without_a_restart(own_home: ServingHome, own_client: Client) -> None:
    before = own_client.post("/v1/scores", json=RISKY).json()
    publish_model(own_home.settings, version=2, seed=11)

    until_ready_says(own_client, lambda answer: answer["lenders"]["simulated"]["model"]["version"] == 2)

    after = own_client.post("/v1/scores", json=RISKY).json()
    assert (before["model"]["version"], after["model"]["version"]) == (1, 2)
    assert before["probability"] != after["probability"]


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [reference for inner in value.values() for reference in _references(inner)]
    return [reference for inner in value for reference in _references(inner)] if isinstance(value, list) else []


def test_nobody_is_told_where_the_home_lies(own_home: ServingHome) -> None:
    """By /readyz, which needs no key, by a problem, or by the page; the names of files stay, and the log has it all."""
    with TestClient(create_app(own_home.settings), raise_server_exceptions=False) as client:
        client.headers.update(own_home.headers)
        client.post("/v1/scores", json=APPLICATION)
        own_home.settings.outbox.unlink()
        refused = client.post("/v1/scores", json=APPLICATION)
        ready = client.get("/readyz")
        page = client.get("/", headers={"Accept": "text/html"})
        listed = client.get("/v1/decisions")

    home = str(own_home.settings.home)
    assert (refused.status_code, ready.status_code) == (503, 503)
    assert "outbox.sqlite cannot be written" in ready.json()["reasons"][0]
    assert [home in answer.text for answer in (refused, ready, page, listed)] == [False] * 4


def test_a_bundle_that_is_gone_is_named_without_its_path(own_home: ServingHome) -> None:
    shutil.rmtree(own_home.settings.bundles)

    with TestClient(create_app(own_home.settings), raise_server_exceptions=False) as client:
        ready = client.get("/readyz")
        refused = client.post("/v1/scores", json=APPLICATION, headers=own_home.headers)

    assert (ready.status_code, refused.status_code) == (503, 503)
    assert "cannot be served" in refused.json()["detail"]
    assert [str(own_home.settings.home) in answer.text for answer in (ready, refused)] == [False] * 2
