"""Sensors of what is served: condition true, false, and true but already answered."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial

import dagster as dg
import pytest

from ml.registry.approval import approve_once
from ml.registry.deployment import CanaryPlan, Challenger, Deployment
from orchestration.defs.serving.sensors import canary_to_move, decisions_to_ingest, version_approved
from tests.logged_contract import publish_contract
from tests.registered_version import registered_version
from tests.sensor_ticks import LENDER, NAME, of_lender, of_request, tick
from warehouse import decision_log
from warehouse.lake.connection import writer
from warehouse.settings import Settings


@pytest.fixture
def in_service(in_service: Callable[..., Deployment]) -> Callable[..., Deployment]:
    """As elsewhere, of a lender that Dagster knows."""
    return partial(in_service, source=LENDER)


def decide(settings: Settings, decision_id: str) -> None:
    decision = decision_log.Decision(
        decision_id=decision_id,
        decided_at=datetime(2024, 6, 3),
        source="lending_club",
        application_id="lending_club-1",
        borrower_id=None,
        inputs="{}",
        features='{"loan_to_income":0.5}',
        raw_score=0.0,
        probability=0.5,
        probability_low=0.4,
        probability_high=0.6,
        band="C",
        decision="approve",
        reasons="[]",
        model_name="default_risk_lending_club",
        model_version=1,
        feature_version="v1",
        route="online",
        status="scored",
    )
    publish_contract(settings, decision.model_name, decision.model_version, {"loan_to_income": "double"})
    connection = decision_log.create(settings)
    decision_log.append(connection, [decision])
    connection.close()


def test_waiting_decisions_start_a_run(home: Settings, instance: dg.DagsterInstance) -> None:
    decide(home, "d-1")

    requests, _ = tick(decisions_to_ingest, instance)

    assert len(requests) == 1


def test_an_empty_decision_log_starts_none(home: Settings, instance: dg.DagsterInstance) -> None:
    assert tick(decisions_to_ingest, instance) == ([], "nothing waits in the decision log")


def test_decisions_that_a_run_is_about_to_take_start_no_second_run(
    home: Settings, instance: dg.DagsterInstance
) -> None:
    """Prevents a run every fifteen seconds while a busy lake keeps the first one waiting."""
    decide(home, "d-1")
    instance.add_run(dg.DagsterRun(job_name="ingest_decisions", run_id="r-1", status=dg.DagsterRunStatus.STARTED))

    assert tick(decisions_to_ingest, instance) == ([], "1 rows wait; a run is on its way")


def test_without_a_canary_none_is_moved(in_service: Callable[..., Deployment], instance: dg.DagsterInstance) -> None:
    in_service(3)

    assert tick(canary_to_move, instance) == ([], "no canary is running")


def test_a_canary_starts_a_run_only_when_its_step_calls_for_a_move(
    home: Settings,
    in_service: Callable[..., Deployment],
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Failing on each of 400 requests, it goes back; a run that failed is tried again, or it would answer for ever."""
    champion = in_service(3)
    canary = Challenger(
        "canary", 0.1, replace(champion, model_version=4), CanaryPlan(), "2024-06-01T00:00:00.000+00:00"
    )
    home.deployment("lending_club").write_text(json.dumps(asdict(replace(champion, challenger=canary))))
    with writer("test", home):
        pass

    waiting = tick(canary_to_move, instance)
    with writer("test", home) as con:
        con.execute(
            f"insert into serving.scoring_failures by name select '{NAME}' as model_name, '{LENDER}' as source, "
            "4 as model_version, 'challenger' as role, timestamp '2024-06-02' as ingested_at from range(400)"
        )
        con.execute(
            f"insert into serving.predictions by name select '{NAME}' as model_name, '{LENDER}' as source, 3 as "
            "model_version, 'champion' as role, 'online' as route, 0.1 as probability, 0.2 as latency_ms, "
            "timestamp '2024-06-02' as ingested_at from range(400)"
        )
    (first,), _ = tick(canary_to_move, instance)
    run = dg.DagsterRun(
        job_name="move_canary",
        run_id="r-1",
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": LENDER},
    )
    instance.add_run(run)
    on_its_way = tick(canary_to_move, instance)
    instance.report_run_failed(run)
    failed = tick(canary_to_move, instance)
    monkeypatch.setattr("orchestration.lib.retries.RETRY_SECONDS", 0)
    (again,), _ = tick(canary_to_move, instance)

    assert waiting[0] == []
    assert "answering 10 % of the applicants, as a canary: too few requests: 0 to the champion" in waiting[1]
    assert first.tags["loanlake/reason"].startswith("worse than it may be: errors +1.000")
    assert (on_its_way[0], failed[0]) == ([], [])
    assert on_its_way[1].endswith("; a run is on its way")
    assert "; the last run failed, the next is tried in " in failed[1]
    assert first.run_key is None, "Dagster takes each key once, whatever became of its run"
    assert again.tags == first.tags


def test_an_approval_starts_a_run_until_what_it_approved_is_served(
    home: Settings, in_service: Callable[..., Deployment], instance: dg.DagsterInstance
) -> None:
    in_service(3)
    nothing = tick(version_approved, instance)
    approve_once(home, of_lender(version=4), reason="minutes", by="key 1")

    (request,), _ = tick(version_approved, instance)
    of_request(instance, "publish_approved", request)
    on_its_way = tick(version_approved, instance)
    in_service(4)
    served = tick(version_approved, instance)

    assert nothing == served == ([], "no approval waits to be followed")
    assert on_its_way == ([], "default_risk_lending_club version 4 is approved; a run is on its way")
    assert request.tags["loanlake/reason"] == "approved by key 1"


def test_each_lenders_approval_starts_a_run_of_its_own(home: Settings, instance: dg.DagsterInstance) -> None:
    """A damaged file of one lender must not keep another's approval from being followed."""
    approve_once(home, of_lender(version=4), reason="minutes", by="key 1")
    approve_once(
        home,
        registered_version(source="uci_credit_card", name="default_risk_uci_credit_card", version=2),
        reason="minutes",
        by="key 1",
    )
    home.approvals("damaged").parent.mkdir()
    home.approvals("damaged").write_text("{\n")

    found, _ = tick(version_approved, instance)

    assert [request.partition_key for request in found] == ["lending_club", "uci_credit_card"]
    assert [request.tags["dagster/partition"] for request in found] == ["lending_club", "uci_credit_card"]


def test_an_approval_that_could_not_be_followed_is_tried_three_times(
    home: Settings,
    in_service: Callable[..., Deployment],
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A busy lake used it up, and the version never came into service; a broken one must not be tried for ever."""
    in_service(3)
    approve_once(home, of_lender(version=4), reason="minutes", by="key 1")
    said = []
    for _ in range(3):
        (request,), _ = tick(version_approved, instance)
        instance.report_run_failed(of_request(instance, "publish_approved", request))
        said.append(tick(version_approved, instance)[1])
        monkeypatch.setattr("orchestration.lib.retries.RETRY_SECONDS", 0)
    approve_once(home, of_lender(version=5), reason="minutes", by="key 1")

    assert said[0].startswith(
        "default_risk_lending_club version 4 is approved; the last run failed, the next is tried in "
    )
    assert said[2].startswith("default_risk_lending_club version 4 could not be served 3 times: its runs say why; ")
    assert len(tick(version_approved, instance)[0]) == 1, "the next approval is followed"


def test_approvals_that_cannot_be_read_start_no_run(home: Settings, instance: dg.DagsterInstance) -> None:
    home.approvals("simulated").parent.mkdir(parents=True)
    home.approvals("simulated").write_text("{\n")

    requests, said = tick(version_approved, instance)

    assert requests == []
    assert said.startswith("approvals of simulated cannot be read: ")
