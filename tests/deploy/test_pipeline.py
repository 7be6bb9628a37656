"""The pipelines of both forges run the same scripts, and those the project's own commands."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.folder import DEPLOY, commands_of, without_comments
from warehouse.settings import REPOSITORY

FOLDER = DEPLOY / "pipeline"
STEPS = ("test", "train", "evaluate", "canary", "smoke")
GITHUB: dict[str, Any] = yaml.safe_load((FOLDER / "github.yml").read_text())
GITLAB: dict[str, Any] = yaml.safe_load((FOLDER / "gitlab.yml").read_text())


def _runs(text: str) -> list[str]:
    return re.findall(r"deploy/pipeline/(\w+)", text)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_a_script_of_commands_that_there_are(step: str, commands: set[str]) -> None:
    path = FOLDER / step
    # a command of one word is followed by its argument
    unknown = {words for words in commands_of(without_comments(path)) if words not in commands}

    assert {words for words in unknown if words.split()[0] not in commands} == set()
    assert os.access(path, os.X_OK)
    assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0


def test_both_forges_run_all_steps_in_order() -> None:
    github = [step for job in GITHUB["jobs"].values() for each in job["steps"] for step in _runs(each.get("run", ""))]
    gitlab = [step for stage in GITLAB["stages"] for step in _runs(" ".join(GITLAB[stage]["script"]))]

    assert github == gitlab == list(STEPS)


def test_the_test_step_is_what_the_project_itself_runs() -> None:
    assert "exec bash .ci/run" in (FOLDER / "test").read_text()
    assert (REPOSITORY / ".ci" / "run").exists()


def test_nothing_is_delivered_from_a_branch_or_without_the_tests() -> None:
    deliver = GITHUB["jobs"]["deliver"]

    assert deliver["needs"] == "test"
    assert "refs/heads/main" in deliver["if"]
    assert all("CI_DEFAULT_BRANCH" in GITLAB[step]["rules"][0]["if"] for step in STEPS[1:])


def test_variables_of_loanlake_are_settings(settings_known: set[str]) -> None:
    texts = "".join(path.read_text() for path in FOLDER.iterdir() if path.suffix != ".md")
    names = {name for name in re.findall(r"LOANLAKE_[A-Z_]*[A-Z]\b", texts) if "_TEST_" not in name}

    assert names <= settings_known


@pytest.mark.parametrize(("refused", "code"), [([], 0), (["out_of_time_auc"], 1)])
def test_a_version_that_a_gate_refused_is_not_delivered(tmp_path: Path, refused: list[str], code: int) -> None:
    """With a `loanlake` that only succeeds: what decides is the home's record of the newest version."""
    (tmp_path / "deployment" / "cards").mkdir(parents=True)
    versions = [
        {"version": 2, "refused_by": refused, "gate_messages": ["too low"]},
        {"version": 1, "refused_by": ["an older one"], "gate_messages": []},
    ]
    (tmp_path / "deployment" / "cards" / "versions.json").write_text(json.dumps(versions))
    (tmp_path / "loanlake").write_text("#!/bin/sh\n")
    (tmp_path / "loanlake").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOANLAKE_HOME": str(tmp_path), "LENDER": "cards"}

    done = subprocess.run([str(FOLDER / "evaluate")], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == code
    assert ("too low" in done.stderr) == bool(refused)


@pytest.mark.parametrize(("champion_after", "code"), [(2, 0), (1, 1)])
def test_a_canary_is_followed_until_it_leads_or_is_taken_back(tmp_path: Path, champion_after: int, code: int) -> None:
    """With a `loanlake` whose canary ends at the first move, in favour of the version that the test wants."""
    folder = tmp_path / "deployment" / "cards"
    folder.mkdir(parents=True)
    (folder / "versions.json").write_text(json.dumps([{"version": 1}, {"version": 2}]))
    before, trial, after = (
        json.dumps({"model_version": version, "challenger": challenger})
        for version, challenger in ((1, None), (1, {"model_version": 2}), (champion_after, None))
    )
    (folder / "deployment.json").write_text(before)
    (tmp_path / "loanlake").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'
        f"case \"$1 $2\" in 'canary start') echo '{trial}' > {folder}/deployment.json ;;\n"
        f"'canary move') echo '{after}' > {folder}/deployment.json ;; esac\n"
    )
    (tmp_path / "loanlake").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOANLAKE_HOME": str(tmp_path), "LENDER": "cards"}

    done = subprocess.run(
        [str(FOLDER / "canary")], env=environment | {"LOOK_SECONDS": "0"}, capture_output=True, text=True, check=False
    )

    calls = (tmp_path / "calls").read_text().splitlines()
    assert done.returncode == code, done.stderr
    assert calls[0].startswith("canary start 2 --steps 10,25,50 --dwell 60 --decisions 300 --reason ")
    assert calls[1:] == ["canary move"]
    assert ("was taken back" in done.stderr) == bool(code)
