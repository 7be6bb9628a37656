"""Dagster's instance of a home: DAGSTER_HOME, and runs left by killed processes."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunRecord, RunsFilter

from orchestration.lineage.run_log import CONFIG, is_wanted
from warehouse.files.drafts import is_alive
from warehouse.files.private_files import keep_private
from warehouse.settings import Settings, postgres_uri
from warehouse.team import make_schemas, object_store

PROCESS_TAG, MACHINE_TAG = "loanlake/process", "loanlake/machine"
_STORAGE_VARIABLE = "DAGSTER_POSTGRES_URL"
_UNFINISHED = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
#: In dagster.yaml only for a Dagster without DAGSTER_HOME; the defaults are the same.
_STORAGE_KEYS = ("storage", "compute_logs", "local_artifact_storage")


def prepare_dagster_home(settings: Settings) -> Path:
    """Create ``<home>/dagster`` with the packaged dagster.yaml, and point DAGSTER_HOME of this process there."""
    keep_private(settings)
    directory = settings.dagster_home
    directory.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load(Path(__file__).parents[1].joinpath("dagster.yaml").read_text())
    for key in _STORAGE_KEYS:
        config.pop(key, None)
    if settings.catalog is not None:
        config |= _on_servers(settings, settings.catalog)
    if is_wanted():
        config["python_logs"] = CONFIG
    text = yaml.safe_dump(config, sort_keys=False)
    path = directory / "dagster.yaml"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    os.environ["DAGSTER_HOME"] = str(directory)
    os.environ["LOANLAKE_HOME"] = str(settings.home)
    return directory


def _on_servers(settings: Settings, catalog: str) -> dict[str, Any]:
    """The storage of a team. The address, with its password, is in the environment and in no file."""
    make_schemas(settings)
    os.environ[_STORAGE_VARIABLE] = postgres_uri(catalog, "dagster")
    config: dict[str, Any] = {"storage": {"postgres": {"postgres_url": {"env": _STORAGE_VARIABLE}}}}
    if settings.run_logs is not None:
        bucket, _, prefix = settings.run_logs.removeprefix("s3://").partition("/")
        output = {"bucket": bucket, "prefix": prefix, "local_dir": str(settings.dagster_home / "storage")}
        if (address := object_store.endpoint()) is not None:
            output["endpoint_url"] = address
        config["compute_logs"] = {
            "module": "dagster_aws.s3.compute_log_manager",
            "class": "S3ComputeLogManager",
            "config": output | {"region": object_store.region()},
        }
    return config


def end_orphaned_runs(instance: DagsterInstance, *, of_daemon: bool = False, machine: str | None = None) -> list[str]:
    """Mark runs whose process is gone as failed, and free their places in the pool; return their ids.

    Dagster keeps a killed run as "started": the next run would wait forever for the pool, and sensors for its end. Runs
    of ``loanlake run`` name their process; for those of Dagster's daemon (``of_daemon``), events do, and it must be of
    this machine. ``machine``: in a team, the only one whose processes can be looked at.
    """
    ended = []
    for run in instance.get_runs(RunsFilter(statuses=_UNFINISHED)):
        if machine is not None and run.tags.get(MACHINE_TAG) != machine:
            continue
        process = run.tags.get(PROCESS_TAG)
        if is_of_gone_process(instance, run) if process is None and of_daemon else _is_gone(process):
            end_run(instance, run, "the process that executed this run is gone")
            ended.append(run.run_id)
    return ended


def runs_of_daemon(instance: DagsterInstance) -> list[RunRecord]:
    """Runs that Dagster's daemon began and that have not ended."""
    records = instance.get_run_records(RunsFilter(statuses=_UNFINISHED))
    return [record for record in records if PROCESS_TAG not in record.dagster_run.tags]


def is_of_gone_process(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether the process of this machine that its events name is gone; False while none has begun to execute it."""
    return _is_gone(_process_of_events(instance, run.run_id))


def end_run(instance: DagsterInstance, run: DagsterRun, why: str) -> None:
    """Mark a run as failed, and free its place in the pool."""
    instance.report_run_failed(run, why)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def end_interrupted_runs(why: str) -> list[str]:
    """Mark all runs that have begun and not ended as failed; return their ids. For a home whose processes are gone."""
    with DagsterInstance.get() as instance:
        runs = instance.get_runs(RunsFilter(statuses=_UNFINISHED))
        for run in runs:
            end_run(instance, run, why)
    return [run.run_id for run in runs]


def team_machine(settings: Settings) -> str | None:
    """The machine's name in a team, else None: every run is of this machine."""
    return settings.machine if settings.catalog is not None else None


@contextmanager
def no_run_left_behind(say: Callable[[str], None]) -> Iterator[None]:
    """End the daemon's runs whose process is gone, before and after.

    A run about to begin when Dagster stops would otherwise show as "starting".
    """
    _end_runs_of_daemon(say)
    try:
        yield
    finally:
        _end_runs_of_daemon(say)


def _end_runs_of_daemon(say: Callable[[str], None]) -> None:
    with DagsterInstance.get() as instance:
        for run_id in end_orphaned_runs(instance, of_daemon=True, machine=team_machine(Settings.from_environment())):
            say(f"run {run_id} was left by a process that is gone: it is marked as failed")


def _is_gone(process: str | None) -> bool:
    return process is not None and not is_alive(int(process))


def _process_of_events(instance: DagsterInstance, run_id: str) -> str | None:
    """The process that began to execute a run; None while none has."""
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        if event is not None and "pid" in event.engine_event_data.metadata:
            return str(event.engine_event_data.metadata["pid"].value)
    return None
