"""Dagster as its own tools see it from the repository root, and the manifest that its graph is drawn from."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestration.defs.warehouse.dbt_resource import dbt_of
from orchestration.lib.dbt_project import prepared_manifest
from warehouse.errors import DbtProjectError
from warehouse.settings import REPOSITORY, Settings

pytestmark = pytest.mark.slow
SCRIPTS = Path(sys.executable).parent


#: A dbt project of two models: parsing the real one takes three times as long.
SMALL_PROJECT = {
    "dbt_project.yml": "{name: small, profile: small, config-version: 2, model-paths: [models]}",
    "profiles.yml": "small: {target: prod, outputs: {prod: {type: duckdb, path: ':memory:'}}}",
    "models/first.sql": "select 1 as number",
    "models/second.sql": "select number from {{ ref('first') }}",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dbt project; tests undo what they change."""
    directory = tmp_path_factory.mktemp("project")
    for name, text in SMALL_PROJECT.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    return directory


@pytest.fixture(scope="module")
def parsed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home that has parsed it once."""
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("parsed"))})
    prepared_manifest(settings, project_dir=project)
    return settings


@contextmanager
def _appended(path: Path, text: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(before + text)
    try:
        yield
    finally:
        path.write_text(before)


def test_the_manifest_is_made_once_and_again_when_a_file_changes(parsed: Settings, project: Path) -> None:
    """A fresh clone has none; making it takes seconds, which not every load may cost."""
    first = (parsed.dbt_parsed / "manifest.json").stat().st_mtime_ns
    second = prepared_manifest(parsed, project_dir=project).stat().st_mtime_ns
    with _appended(project / "models" / "second.sql", "\n-- changed\n"):
        third = prepared_manifest(parsed, project_dir=project).stat().st_mtime_ns

    assert first == second < third


def test_a_step_begins_from_what_the_graphs_parse_has_found(
    parsed: Settings, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step of a run has a target of its own, which is empty at first."""
    monkeypatch.setenv("LOANLAKE_HOME", str(parsed.home))
    target = parsed.dbt_target.with_name("a step of its own")
    dbt = dbt_of(project)

    dbt.cli(["parse"], target_path=target).wait()

    log = (target / "dbt.log").read_text()
    assert "Partial parsing enabled" in log
    assert "Starting full parse" not in log


def test_a_project_that_cannot_be_parsed_is_one_clear_error(parsed: Settings, project: Path) -> None:
    second = project / "models" / "second.sql"

    with (
        _appended(second, "\n-- depends_on: {{ ref('nowhere') }}\n"),
        pytest.raises(DbtProjectError, match=r"(?s)dbt cannot parse the project.*nowhere"),
    ):
        prepared_manifest(parsed, project_dir=project)


def test_a_cycle_is_one_clear_error(parsed: Settings, project: Path) -> None:
    """``dbt parse`` lets it pass; Dagster would stop with a traceback of its own graph."""
    first = project / "models" / "first.sql"

    with (
        _appended(first, "\n-- depends_on: {{ ref('second') }}\n"),
        pytest.raises(DbtProjectError, match=r"circle, .*first.sql.*; take one of these refs out"),
    ):
        prepared_manifest(parsed, project_dir=project)


def test_dg_finds_and_checks_the_definitions(
    home: Settings, tmp_path: Path, give_parse: Callable[[Settings], None]
) -> None:
    give_parse(home)
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}

    done = subprocess.run(
        [SCRIPTS / "dg", "check", "defs"], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "All definitions loaded successfully" in done.stdout + done.stderr


def test_an_interrupted_run_ends_by_itself_and_says_so(home: Settings, give_parse: Callable[[Settings], None]) -> None:
    """Prevents Ctrl-C from leaving a run that holds the lake's pool, or a trace of Python's."""
    give_parse(home)
    command = [SCRIPTS / "loanlake", "run", "simulated", "--applications", "500"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as run:
        deadline = time.monotonic() + 240
        while not list(home.dbt_target.parent.glob("target/dbt.log")) and time.monotonic() < deadline:
            time.sleep(0.2)  # in the middle of the first dbt step
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=120)

    assert run.returncode == 130, said
    assert said == "loanlake: interrupted; finished steps are kept, run again to continue\n"
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home.dagster_home)) as instance:
        [state] = [found.status for found in instance.get_runs()]
        assert state in {dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE}
        assert instance.event_log_storage.get_concurrency_info("lake_writer").claimed_slots == []
