"""What `/metrics` shows: every metric that is documented, and what is so at the moment it is asked."""

import re
import shutil
from collections.abc import Mapping
from datetime import UTC, date, datetime

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from ml.monitoring.drift_figures import SCORE, Figure, VersionDrift, publish_drift
from ml.registry.deployment import serve
from ml.registry.registered_version import deployment_of
from tests.measured_lake import measure
from tests.model_factory import MODEL_NAME, SOURCE, register_model, shared_bundle
from tests.second_version import challenge_with_second
from tests.serving_home import APPLICATION, RISKY, ServingHome, until_ready_says
from warehouse.batches import BatchRequest, BatchStates
from warehouse.decision_log import ingest_into_lake
from warehouse.figures.published import publish_figures
from warehouse.lake.connection import writer
from warehouse.settings import REPOSITORY, Settings
from warehouse.sources.streaming.lag import StreamLag, write_lag

Client = TestClient[Litestar]

_ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<kind>\w+) \|(?P<labels>[`\w ]*)\|", re.MULTILINE)
_MEASURED_AT = datetime(2022, 1, 2, 3, tzinfo=UTC)


def value(client: Client, name: str, **labels: str) -> float | None:
    """The sum of a metric's series that have these labels; None where there is none."""
    found = [
        sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found) if found else None


def publish(settings: Settings, figures: Mapping[str, tuple[float, bool]], *, version: int = 1) -> None:
    """Say that drift was measured, as the asset does."""
    found = tuple(Figure(feature, psi, is_drifted, 0.2) for feature, (psi, is_drifted) in figures.items())
    publish_drift(settings, SOURCE, [VersionDrift(MODEL_NAME, version, date(2022, 1, 1), _MEASURED_AT, found)])


def test_the_page_of_metrics_lists_what_there_is(own_client: Client, own_home: ServingHome) -> None:
    """A metric that no operator can look up, a promise of one that is gone, a label that is not told of."""
    publish(own_home.settings, {"loan_to_income": (0.1, False)})
    measure(own_home.settings)
    publish_figures(own_home.settings)
    write_lag(own_home.settings, StreamLag(SOURCE, "statements", at=0.0))
    own_client.post("/v1/scores", json=RISKY)
    own_client.post("/v1/scores", json=RISKY | {"term_months": 0})

    told, labels = {}, {}
    for family in text_string_to_metric_families(own_client.get("/metrics").text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        told[name] = family.type
        labels[name] = {label for sample in family.samples for label in sample.labels} - {"le"}

    # one is only there in a team, whose suite looks for it
    rows = [
        row
        for row in _ROW.finditer((REPOSITORY / "docs" / "metrics.md").read_text())
        if row["name"] != "loanlake_team_seconds_behind"
    ]
    assert told == {row["name"]: row["kind"] for row in rows}
    assert labels == {row["name"]: set(re.findall(r"\w+", row["labels"])) for row in rows}


def test_a_score_is_counted_by_version_result_and_duration(own_client: Client) -> None:
    own_client.post("/v1/scores", json=APPLICATION)
    own_client.post("/v1/scores", json=RISKY)

    version = {"model": MODEL_NAME, "version": "1", "role": "champion"}
    assert value(own_client, "loan_predictions_total", **version, route="online") == 2
    assert value(own_client, "loan_prediction_result_total", **version, decision="decline") == 1
    assert value(own_client, "loan_prediction_duration_seconds_count", **version) == 2
    assert value(own_client, "loan_prediction_failures_total", **version) == 0


def test_what_waits_for_the_lake_is_told_until_it_is_there(own_client: Client, own_home: ServingHome) -> None:
    assert value(own_client, "loanlake_outbox_lag_seconds", entries="decisions") == 0

    for _ in range(3):
        own_client.post("/v1/scores", json=APPLICATION)

    assert value(own_client, "loanlake_outbox_pending_rows", entries="decisions") == 3
    lag = value(own_client, "loanlake_outbox_lag_seconds", entries="decisions")
    assert lag is not None
    assert 0 < lag < 60
    ingest_into_lake(own_home.settings)
    assert value(own_client, "loanlake_outbox_pending_rows", entries="decisions") == 0
    assert value(own_client, "loanlake_outbox_lag_seconds", entries="decisions") == 0


def test_batches_that_wait_are_counted_new_and_postponed(own_client: Client, own_home: ServingHome) -> None:
    assert value(own_client, "loanlake_batches_lag_seconds") == 0
    states = BatchStates(own_home.settings)
    for batch_id in ("b-1", "b-2", "b-3"):
        states.add(batch_id, BatchRequest(source=SOURCE, n_rows=1), caller_id="caller", body_sha256="0" * 64)

    batch = states.claim("b-1", "run-1")
    assert batch is not None
    states.postpone(batch, "the lake is busy")

    assert value(own_client, "loanlake_batches_waiting", kind="new") == 2
    assert value(own_client, "loanlake_batches_waiting", kind="postponed") == 1
    lag = value(own_client, "loanlake_batches_lag_seconds")
    assert lag is not None
    assert 0 < lag < 60


def test_drift_of_what_is_served_follows_each_measurement(own_client: Client, own_home: ServingHome) -> None:
    assert value(own_client, "loan_model_drift_psi") is None

    publish(own_home.settings, {"loan_to_income": (0.31, True), SCORE: (0.02, False)})

    assert value(own_client, "loan_model_drift_psi", feature="loan_to_income", version="1") == 0.31
    assert value(own_client, "loan_model_drift_detected", feature="loan_to_income") == 1
    assert value(own_client, "loan_model_drift_detected", feature="probability") == 0
    assert value(own_client, "loan_model_drift_measured_timestamp_seconds") == _MEASURED_AT.timestamp()
    assert value(own_client, "loan_model_drift_month_timestamp_seconds") == datetime(2022, 1, 1, tzinfo=UTC).timestamp()
    publish(own_home.settings, {"loan_to_income": (0.12, False)})
    assert value(own_client, "loan_model_drift_psi", feature="loan_to_income") == 0.12
    publish(own_home.settings, {"loan_to_income": (0.5, True)}, version=9)
    assert value(own_client, "loan_model_drift_psi") is None, "version 9 is not served"


def test_drift_that_cannot_be_read_spoils_nothing_else(
    own_client: Client, own_home: ServingHome, caplog: pytest.LogCaptureFixture
) -> None:
    own_home.settings.drift(SOURCE).write_text('[{"model_name": 1}]')

    page = own_client.get("/metrics")

    assert page.status_code == 200
    assert "loanlake_outbox_waiting_rows 0.0" in page.text
    assert "must hold the newest drift of simulated" in str([vars(record) for record in caplog.records])


def test_figures_of_the_lake_follow_each_measurement(own_client: Client, own_home: ServingHome) -> None:
    assert value(own_client, "loan_figures_made_timestamp_seconds") is None

    measure(own_home.settings)
    made_at = publish_figures(own_home.settings).made_at

    assert value(own_client, "loan_figures_made_timestamp_seconds") == pytest.approx(made_at.timestamp())
    assert value(own_client, "loan_model_performance", version="1", metric="auc") == 0.65
    assert value(own_client, "loan_alerts", lender=SOURCE, severity="high", state="open") == 1
    assert value(own_client, "loan_alerts", lender="", state="open") == 1
    with writer("tests", own_home.settings) as con:
        con.execute("update monitoring.model_performance set model_version = 9")
    publish_figures(own_home.settings)
    assert value(own_client, "loan_model_performance") is None, "version 9 is not served"


def test_figures_that_cannot_be_read_spoil_nothing_else(
    own_client: Client, own_home: ServingHome, caplog: pytest.LogCaptureFixture
) -> None:
    own_home.settings.figures.write_text('{"made_at": 1}')

    page = own_client.get("/metrics")

    assert page.status_code == 200
    assert "loanlake_outbox_waiting_rows 0.0" in page.text
    assert "must hold the newest figures" in str([vars(record) for record in caplog.records])


def test_versions_in_service_are_told_with_their_share(own_client: Client, own_home: ServingHome) -> None:
    challenge_with_second(own_home.settings, share=0.25)
    until_ready_says(own_client, lambda answer: answer["lenders"]["simulated"]["challenger"] is not None)

    assert value(own_client, "loan_model_info", role="challenger", version="2", mode="ab") == 1
    assert value(own_client, "loan_model_traffic_share", version="2") == 0.25
    assert value(own_client, "loan_model_traffic_share", role="champion") == 0.75
    assert value(own_client, "loan_prediction_failures_total", version="2", role="challenger") == 0


def test_swaps_are_counted_and_one_that_failed_stays_told(own_client: Client, own_home: ServingHome) -> None:
    settings = own_home.settings
    assert value(own_client, "loan_model_swaps_total", result="served") == 1
    assert value(own_client, "loanlake_readiness", status="ready") == 1
    placed = deployment_of(settings, register_model(settings, shared_bundle(seed=11), version=2), by="tests")
    shutil.rmtree(placed.bundle_directory(settings))
    serve(settings, placed, action="publish", by="tests")
    until_ready_says(own_client, lambda answer: answer["status"] == "degraded")

    assert value(own_client, "loan_model_swaps_total", result="refused") == 1
    assert value(own_client, "loanlake_deployment_refused") == 1
    assert value(own_client, "loanlake_readiness", status="degraded") == 1
    assert value(own_client, "loan_model_info", version="1") == 1


def test_the_age_of_the_online_store_and_the_process_are_told(client: Client) -> None:
    age = value(client, "loanlake_online_store_age_seconds", lender=SOURCE)

    assert age == pytest.approx((datetime.now(UTC) - datetime(2022, 1, 1, tzinfo=UTC)).total_seconds(), abs=60)
    assert (value(client, "process_resident_memory_bytes") or 0) > 1_000_000
    assert (value(client, "process_cpu_seconds_total") or 0) > 0


def test_without_an_online_store_the_page_is_there(home: Settings) -> None:
    from serving.app import create_app

    with TestClient(create_app(home)) as client:
        assert value(client, "loanlake_readiness", status="unavailable") == 1
        assert value(client, "loanlake_online_store_age_seconds") is None
