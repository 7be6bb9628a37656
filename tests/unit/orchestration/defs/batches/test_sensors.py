"""The batches' sensor: condition true, false, and true but already answered."""

import sqlite3
from contextlib import closing

import dagster as dg

from orchestration.defs.batches.sensors import BATCH_TAG, batches_to_score
from tests.lender_jobs import nothing
from tests.sensor_ticks import tick
from warehouse.batches import BatchFiles, BatchRequest, BatchStates
from warehouse.settings import Settings


def test_batches_that_wait_start_a_run_each_two_at_a_time(home: Settings, instance: dg.DagsterInstance) -> None:
    states = BatchStates(home)
    assert tick(batches_to_score, instance) == ([], "no batch waits")
    for batch_id in ("b-1", "b-2", "b-3"):
        states.add(batch_id, BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)

    requests, _ = tick(batches_to_score, instance)

    assert [request.run_key for request in requests] == ["b-1/1", "b-2/1"]
    assert requests[0].partition_key == "simulated"
    assert requests[0].run_config == {"ops": {"serving__batch_scores": {"config": {"batch_id": "b-1"}}}}
    assert requests[0].tags[BATCH_TAG] == "b-1/1"


def test_a_batch_of_a_lender_that_dagster_does_not_know_fails_and_keeps_no_other_waiting(
    home: Settings, instance: dg.DagsterInstance
) -> None:
    states = BatchStates(home)
    for batch_id, source in (("b-1", "old_bank"), ("b-2", "simulated")):
        states.add(batch_id, BatchRequest(source=source, n_rows=1), caller_id="caller", body_sha256="0" * 64)

    requests, _ = tick(batches_to_score, instance)

    assert [request.run_key for request in requests] == ["b-2/1"]
    failed = states.find("b-1")
    assert failed is not None
    assert (failed.state, str(failed.reason)[:33]) == ("failed", "Dagster has no lender 'old_bank':")


def test_a_batch_whose_run_never_began_waits_for_the_next(home: Settings, instance: dg.DagsterInstance) -> None:
    """A loaded machine could not start the run in time: that is not the batch's fault."""
    states = BatchStates(home)
    states.add("b-1", BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)
    run = instance.create_run_for_job(
        dg.JobDefinition(name="score_batch", graph_def=nothing), tags={BATCH_TAG: "b-1/1"}
    )
    assert tick(batches_to_score, instance)[0] == []

    instance.report_run_failed(run)
    tick(batches_to_score, instance)

    waiting = states.find("b-1")
    assert waiting is not None
    assert (waiting.state, waiting.attempt, waiting.n_postponed) == ("queued", 2, 1)
    assert run.run_id in str(waiting.reason)
    assert tick(batches_to_score, instance) == ([], "1 postponed batches wait for their time")
    with closing(sqlite3.connect(home.batch_states)) as con, con:
        con.execute("update batches set not_before = '2020-01-01T00:00:00'")
    assert [request.run_key for request in tick(batches_to_score, instance)[0]] == ["b-1/2"]


def test_a_batch_whose_run_was_cancelled_before_it_began_fails(home: Settings, instance: dg.DagsterInstance) -> None:
    states = BatchStates(home)
    states.add("b-1", BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)
    run = instance.create_run_for_job(
        dg.JobDefinition(name="score_batch", graph_def=nothing), tags={BATCH_TAG: "b-1/1"}
    )

    instance.report_run_canceled(run)
    tick(batches_to_score, instance)

    failed = states.find("b-1")
    assert failed is not None
    assert failed.state == "failed"
    assert "was cancelled in Dagster before it began to score; the batch can be tried again" in str(failed.reason)


def test_a_batch_whose_process_is_gone_fails(home: Settings, instance: dg.DagsterInstance) -> None:
    states = BatchStates(home)
    states.add("b-1", BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)
    states.claim("b-1", "run-1")

    with BatchFiles(home, "b-1").turn():
        tick(batches_to_score, instance)
        assert [batch.batch_id for batch in states.running()] == ["b-1"]
    tick(batches_to_score, instance)

    ended = states.find("b-1")
    assert ended is not None
    assert ended.state == "failed"


def test_runs_that_were_killed_with_all_of_dagster_take_no_place(home: Settings, instance: dg.DagsterInstance) -> None:
    """They stand as started: two of them stopped all batches until somebody ended them by hand."""
    states = BatchStates(home)
    for batch_id in ("b-1", "b-2"):
        states.add(batch_id, BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)
        states.claim(batch_id, f"run of {batch_id}")
        run = dg.DagsterRun(
            job_name="score_batch", status=dg.DagsterRunStatus.STARTED, tags={BATCH_TAG: f"{batch_id}/1"}
        )
        instance.add_run(run)
    states.add("b-3", BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)

    requests, _ = tick(batches_to_score, instance)

    assert [request.run_key for request in requests] == ["b-3/1"]
    assert {batch.state for batch_id in ("b-1", "b-2") if (batch := states.find(batch_id))} == {"failed"}


def test_batches_that_are_scored_or_have_a_run_take_a_place(home: Settings, instance: dg.DagsterInstance) -> None:
    states = BatchStates(home)
    for batch_id in ("b-1", "b-2", "b-3"):
        states.add(batch_id, BatchRequest(source="simulated", n_rows=1), caller_id="caller", body_sha256="0" * 64)
    states.claim("b-1", "run-1")
    instance.create_run_for_job(dg.JobDefinition(name="score_batch", graph_def=nothing), tags={BATCH_TAG: "b-2/1"})

    with BatchFiles(home, "b-1").turn():
        requests, said = tick(batches_to_score, instance)

    assert (requests, said) == ([], "2 batches wait; 2 are being scored, 2 at a time")
