"""An installed wheel does what a clone does: a run in an empty folder, and a score from what it trained."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.free_ports import free_port
from warehouse.settings import REPOSITORY

pytestmark = pytest.mark.extended
UV = str(Path(sys.executable).with_name("uv"))
PACKAGES = ("warehouse", "ml", "serving", "orchestration")
APPLICATION = {"application_id": "a-1", "borrower_id": "b-1", "requested_amount": 12_000, "term_months": 36}


@dataclass(frozen=True)
class Installed:
    """An environment with nothing but the wheel and what it requires."""

    directory: Path
    wheels: Path

    @property
    def site_packages(self) -> Path:
        [found] = (self.directory / "environment" / "lib").glob("python*/site-packages")
        return found

    @property
    def home(self) -> Path:
        return self.directory / "home"

    def command(self, *arguments: str) -> list[str]:
        return [str(self.directory / "environment" / "bin" / "loanlake"), *arguments]

    def loanlake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.directory / "empty",
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("LOANLAKE_", "DAGSTER_"))}
        return {**ours, "LOANLAKE_HOME": str(self.home)}

    def files(self) -> set[str]:
        """All of the environment but what Python compiles there."""
        found = self.site_packages.rglob("*")
        return {str(path) for path in found if path.is_file() and "__pycache__" not in path.parts}


def _uv(*arguments: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([UV, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    directory = tmp_path_factory.mktemp("wheel")
    source, wheels = directory / "source", directory / "wheels"
    # a copy: setuptools puts what earlier builds left in build/ into a wheel too
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    _uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", wheels, cwd=source)
    [wheel] = wheels.glob("*.whl")
    _uv("venv", "--python", sys.executable, directory / "environment")
    python = directory / "environment" / "bin" / "python"
    _uv("pip", "install", "--python", python, "--constraint", REPOSITORY / "requirements.lock", wheel)
    (directory / "empty").mkdir()
    made = Installed(directory, wheels)
    _take_compiled(made.site_packages)
    return made


def _take_compiled(site_packages: Path) -> None:
    """What Python has compiled of the same packages here: it would compile them again, for most of a minute.

    Where uv copied a file and did not link it, its time is another, and Python compiles it in spite of this.
    """
    here = Path(sysconfig.get_path("purelib"))
    for compiled in here.glob("**/__pycache__/*.pyc"):
        there = site_packages / compiled.relative_to(here)
        if there.parent.parent.is_dir():
            there.parent.mkdir(exist_ok=True)
            with suppress(OSError):  # on another file system
                there.hardlink_to(compiled)


@pytest.fixture(scope="module")
def trained(installed: Installed) -> Installed:
    """With a model in service, and all that a run writes."""
    # the one gate that no person may override refuses what so few loans can train
    lender = installed.site_packages / "warehouse" / "lenders" / "simulated.yml"
    lender.write_text('gates: {max_train_test_gap: {limit: 0.5, reason: "the small lender of a test"}}\n')
    before = installed.files()
    run = installed.loanlake("run", "simulated", "--applications", "4000", "--months", "48")
    refused = re.findall(r"^  refused +(\w+):", run.stdout, re.MULTILINE)
    overrides = [argument for gate in refused for argument in ("--override", gate)]

    approved = installed.loanlake("model", "approve", "1", *overrides, "--reason", "a test")

    assert approved.returncode == 0, run.stdout + run.stderr + approved.stderr
    assert installed.files() == before, "something was written beside the code"
    assert list((installed.directory / "empty").iterdir()) == []
    return installed


@pytest.fixture
def served(trained: Installed) -> Iterator[str]:
    port = free_port()
    log = trained.directory / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            trained.command("serve", "--port", str(port)),
            cwd=trained.directory / "empty",
            env=trained.environment,
            stdout=output,
            stderr=output,
        )
    deadline = time.monotonic() + 60
    try:
        while b"Application startup complete." not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(log.read_text())
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_run_in_an_empty_folder_trains_what_the_api_scores_with(trained: Installed, served: str) -> None:
    key = trained.loanlake("key", "create", "branch").stdout.strip()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    application = APPLICATION | {"purpose": "debt_consolidation"}
    request = urllib.request.Request(f"{served}/v1/scores", json.dumps(application).encode(), headers)

    with urllib.request.urlopen(request) as response:
        score: dict[str, Any] = json.load(response)

    assert score["model"] == {"name": "default_risk_simulated", "version": 1, "feature_version": "v2"}
    assert 0 < score["probability"] < 1
    assert trained.loanlake("replay", score["decision_id"]).stdout.endswith("equal to the bit\n")


def test_the_bundles_requirements_are_found_with_the_wheel(trained: Installed, tmp_path: Path) -> None:
    """``mlflow models serve`` makes an environment of them; exact, so that it scores as the training did."""
    [requirements] = trained.home.glob("mlflow/artifacts/**/requirements.txt")
    pins = requirements.read_text().split()

    found = _uv("pip", "compile", "--find-links", trained.wheels, requirements)

    assert [pin for pin in pins if "==" not in pin] == []
    assert {"loanlake", "numpy", "onnxruntime", "mlflow"} <= {pin.partition("==")[0] for pin in pins}
    assert all(pin in found for pin in pins)


def test_without_a_home_given_state_goes_to_the_users_data_directory(installed: Installed, tmp_path: Path) -> None:
    shown = installed.loanlake("settings", LOANLAKE_HOME="", XDG_DATA_HOME=str(tmp_path)).stdout

    assert shown.splitlines()[0].split() == ["LOANLAKE_HOME", str(tmp_path / "loanlake"), "(derived)"]


def test_a_feature_version_needs_a_clone(installed: Installed) -> None:
    refused = installed.loanlake("feature", "new")

    assert refused.returncode == 1
    assert "run this in a clone of the repository" in refused.stderr
