"""DAGSTER_HOME of a home, and runs whose process is gone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
import yaml

from orchestration.running.instance import PROCESS_TAG, end_orphaned_runs, no_run_left_behind, prepare_dagster_home
from warehouse.settings import Settings


@pytest.fixture
def instance(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", "restored afterwards")
    prepare_dagster_home(home)
    with dg.DagsterInstance.get() as instance:
        yield instance


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


def started(instance: dg.DagsterInstance, run_id: str, tags: dict[str, str]) -> None:
    instance.add_run(
        dg.DagsterRun(job_name="default_risk", run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=tags)
    )


def test_storage_lies_in_the_home_and_telemetry_is_off(home: Settings, instance: dg.DagsterInstance) -> None:
    config = yaml.safe_load((home.dagster_home / "dagster.yaml").read_text())

    assert config["telemetry"] == {"enabled": False}
    assert config["concurrency"]["pools"]["default_limit"] == 1
    assert "storage" not in config
    assert os.environ["DAGSTER_HOME"] == instance.root_directory == str(home.dagster_home)


def test_a_run_whose_process_was_killed_is_ended_and_others_are_left(instance: dg.DagsterInstance) -> None:
    """Prevents the run after a kill -9 from waiting for ever for a place in the pool that nobody gives back."""
    started(instance, "killed", {PROCESS_TAG: str(ended_process())})
    started(instance, "alive", {PROCESS_TAG: str(os.getpid())})
    started(instance, "of-the-daemon", {})

    ended = end_orphaned_runs(instance)

    states = {run.run_id: run.status for run in instance.get_runs()}
    assert ended == ["killed"]
    assert states == {
        "killed": dg.DagsterRunStatus.FAILURE,
        "alive": dg.DagsterRunStatus.STARTED,
        "of-the-daemon": dg.DagsterRunStatus.STARTED,
    }


def test_a_run_of_the_daemon_is_judged_by_its_events(instance: dg.DagsterInstance) -> None:
    """Prevents runs that died with all of Dagster from standing as started for ever, and sensors from waiting."""
    killed = subprocess.run([sys.executable, "-c", _RUN_KILLED_IN_ITS_STEP], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.STARTED

    assert end_orphaned_runs(instance) == []
    assert end_orphaned_runs(instance, of_daemon=True) == [run.run_id]

    (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.FAILURE


def test_a_run_that_its_dagster_took_along_is_ended_when_that_stops(instance: dg.DagsterInstance) -> None:
    """Prevents `loanlake status` from showing a run until the next `up`, for which a backup would wait."""
    said: list[str] = []

    with no_run_left_behind(said.append):
        started(instance, "taken-along", {PROCESS_TAG: str(ended_process())})

    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]
    assert said == ["run taken-along was left by a process that is gone: it is marked as failed"]


_RUN_KILLED_IN_ITS_STEP = """
import os, signal
import dagster as dg

@dg.asset
def dies():
    os.kill(os.getpid(), signal.SIGKILL)

with dg.DagsterInstance.get() as instance:
    dg.materialize([dies], instance=instance)
"""
