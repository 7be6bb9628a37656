"""Sensors of figures and alerts: condition true, false, and true but already answered."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial

import dagster as dg
import pytest

from ml.registry.deployment import Deployment
from orchestration.defs.monitoring.sensors import alerts_to_send, drift_found, labels_matured, performance_decayed
from tests.sensor_ticks import LENDER, tick
from tests.unit.warehouse.alerts.shown_alerts import alert, show
from warehouse.alerts.prepared import read_prepared
from warehouse.figures.published import publish_figures
from warehouse.lake.connection import writer
from warehouse.settings import Settings

JUNE = date(2024, 6, 1)


@pytest.fixture
def in_service(in_service: Callable[..., Deployment]) -> Callable[..., Deployment]:
    """As elsewhere, of a lender that Dagster knows."""
    return partial(in_service, source=LENDER)


def drift(measured: Callable[..., None], champion: Deployment, *, is_true: bool) -> None:
    figures = {"psi": 0.3 if is_true else 0.01, "psi_limit": 0.2}
    measured("monitoring.score_drift", champion, month=JUNE, is_drifted=is_true, **figures)


def decay(measured: Callable[..., None], champion: Deployment, *, is_true: bool) -> None:
    figures = {"n_mature": 1_000, "n_defaults": 100, "default_rate": 0.1, "mean_probability": 0.1}
    figures |= {"auc": 0.55 if is_true else 0.7, "auc_limit": 0.66, "default_rate_limit": 0.15}
    measured("monitoring.model_performance", champion, month=JUNE, is_decayed=is_true, **figures)


@pytest.mark.parametrize(("sensor", "cause"), [(drift_found, drift), (performance_decayed, decay)])
def test_what_monitoring_found_starts_a_training_with_one_key(
    home: Settings,
    instance: dg.DagsterInstance,
    in_service: Callable[..., Deployment],
    measured: Callable[..., None],
    sensor: dg.SensorDefinition,
    cause: Callable[..., None],
) -> None:
    """The key is what keeps Dagster from starting a second run for the same month."""
    cause(measured, in_service(), is_true=True)

    first, second = tick(sensor, instance)[0], tick(sensor, instance)[0]

    assert [request.run_key for request in first] == [request.run_key for request in second]
    refresh = {"feature_version": "v1", "exclude": ["zip"], "family": "logistic", "refreshed_version": 1}
    assert first[0].partition_key == "lending_club"
    assert str(first[0].run_key).startswith("lending_club-")
    assert first[0].run_config == {"resources": {"run_settings": {"config": refresh}}}


@pytest.mark.parametrize(("sensor", "cause"), [(drift_found, drift), (performance_decayed, decay)])
def test_good_figures_start_no_training(
    home: Settings,
    instance: dg.DagsterInstance,
    in_service: Callable[..., Deployment],
    measured: Callable[..., None],
    sensor: dg.SensorDefinition,
    cause: Callable[..., None],
) -> None:
    cause(measured, in_service(), is_true=False)

    assert tick(sensor, instance) == ([], "no reason to train among 1 models")


@pytest.mark.parametrize(("n_rows", "n_requests"), [(10_100, 0), (10_600, 1)])
def test_labels_that_have_matured_start_a_training_when_they_are_many(
    home: Settings, instance: dg.DagsterInstance, in_service: Callable[..., Deployment], n_rows: int, n_requests: int
) -> None:
    in_service(n_trained=10_000)
    with writer("test", home) as con:
        con.execute(f"create table training.trn_default as select 'lending_club' as source from range({n_rows})")

    assert len(tick(labels_matured, instance)[0]) == n_requests


@pytest.mark.parametrize("sensor", [drift_found, performance_decayed, labels_matured])
def test_nothing_in_service_starts_no_training(
    home: Settings, instance: dg.DagsterInstance, sensor: dg.SensorDefinition
) -> None:
    assert tick(sensor, instance) == ([], "no model in service")


@pytest.mark.parametrize("sensor", [drift_found, performance_decayed, labels_matured])
def test_a_lake_that_cannot_be_read_starts_no_training_and_says_so(
    home: Settings, instance: dg.DagsterInstance, in_service: Callable[..., Deployment], sensor: dg.SensorDefinition
) -> None:
    in_service()
    home.lake_catalog.parent.mkdir(parents=True)
    home.lake_catalog.write_bytes(b"not a database, but long enough to be looked at" * 100)

    requests, said = tick(sensor, instance)

    assert requests == []
    assert said.startswith("what was measured of lending_club cannot be read: the lake's catalog cannot be opened: ")


def test_a_lender_whose_figures_cannot_be_read_keeps_no_other_from_training(
    home: Settings, instance: dg.DagsterInstance, in_service: Callable[..., Deployment], measured: Callable[..., None]
) -> None:
    drift(measured, in_service(), is_true=True)
    drift(measured, in_service(source="uci_credit_card"), is_true=True)
    home.deployment("lending_club").write_text("{\n")

    requests, _ = tick(drift_found, instance)

    assert [request.partition_key for request in requests] == ["uci_credit_card"]


def test_a_new_alert_starts_a_sending_once_a_route_is_declared(
    home: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(home, alert())

    assert tick(alerts_to_send, instance) == ([], "no route of alerts is declared: docs/alerts.md")
    home.alert_routes.write_text("routes: {hook: {url: {environment: HOOK_URL}}}")
    assert "HOOK_URL must hold an address" in tick(alerts_to_send, instance)[1]
    monkeypatch.setenv("HOOK_URL", "json://127.0.0.1:1/")
    assert len(tick(alerts_to_send, instance)[0]) == 1
    show(home, alert(state="acknowledged"))
    assert tick(alerts_to_send, instance) == ([], "no notification is due")


def test_an_alert_that_began_without_a_run_is_shown_on_the_pages(home: Settings, instance: dg.DagsterInstance) -> None:
    """A file is late from a day on, and no run starts because none arrived."""
    show(home, alert())
    publish_figures(home)
    show(home, alert(), alert("late", kind="late_source", cause="files"))

    tick(alerts_to_send, instance)

    prepared = read_prepared(home)
    assert prepared is not None
    assert {each.alert_id for each in prepared.alerts} == {"0123456789", "late"}


def test_a_run_that_measures_is_not_overtaken_by_a_sending(
    home: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Halfway, the alerts of the replaced version would be reported as resolved, and then as new of the next."""
    show(home, alert())
    home.alert_routes.write_text("routes: {hook: {url: {environment: HOOK_URL}}}")
    monkeypatch.setenv("HOOK_URL", "json://127.0.0.1:1/")
    run = dg.DagsterRun(job_name="retrain", run_id="r-1", status=dg.DagsterRunStatus.STARTED)
    instance.add_run(run)

    meanwhile = tick(alerts_to_send, instance)
    with monkeypatch.context() as later:
        later.setattr("orchestration.defs.monitoring.sensors._LONGEST_WAIT", timedelta(0))
        stuck, _ = tick(alerts_to_send, instance)
    instance.report_run_failed(run)
    failed, _ = tick(alerts_to_send, instance)

    assert meanwhile == ([], "1 notifications are due; a run of retrain is under way, and sends at its end")
    assert (len(stuck), len(failed)) == (1, 1)
