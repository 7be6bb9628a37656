"""Dagster's instance of a home: DAGSTER_HOME, and the runs that a killed process left behind."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from warehouse.settings import REPOSITORY, Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

PROCESS_TAG = "loanlake/process"
#: Given in dagster.yaml only for a Dagster started without DAGSTER_HOME; with one, its default is the same place.
_STORAGE_KEYS = ("storage", "compute_logs", "local_artifact_storage")


def prepare_dagster_home(settings: Settings) -> Path:
    """Create ``<home>/dagster`` with the repository's dagster.yaml, and point DAGSTER_HOME of this process there."""
    directory = settings.dagster_home
    directory.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    for key in _STORAGE_KEYS:
        config.pop(key, None)
    text = yaml.safe_dump(config, sort_keys=False)
    path = directory / "dagster.yaml"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    os.environ["DAGSTER_HOME"] = str(directory)
    os.environ["LOANLAKE_HOME"] = str(settings.home)
    return directory


def end_orphaned_runs(instance: "DagsterInstance") -> list[str]:
    """Mark runs of ``loanlake run`` whose process is gone as failed, and free their places in the pool.

    A run killed with SIGKILL stays "started" for Dagster, and without a daemon nothing would ever take its place in the
    pool away: the next run would wait for it for ever. Returns the ids of the runs ended.
    """
    from dagster import DagsterRunStatus, RunsFilter

    unfinished = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    ended = []
    for run in instance.get_runs(RunsFilter(statuses=unfinished)):
        process = run.tags.get(PROCESS_TAG)
        if process is None or _is_alive(int(process)):
            continue
        instance.report_run_failed(run, "the process that executed this run is gone")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        ended.append(run.run_id)
    return ended


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
