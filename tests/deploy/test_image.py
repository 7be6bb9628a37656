"""The image holds what `loanlake serve` imports in the versions that are tested, and runs without rights."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from serving.commands import serve
from tests.deploy.folder import DEPLOY
from warehouse.settings import REPOSITORY

IMAGE = DEPLOY / "image"
DOCKERFILE = (IMAGE / "Dockerfile").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def _needed(texts: list[str]) -> set[str]:
    """The distributions that requirements need here, and what these need."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in texts]
    while waiting:
        needed = waiting.pop()
        found.add(canonicalize_name(needed.name))
        for text in distribution(needed.name).requires or ():
            further = Requirement(text)
            extras = {"", *needed.extras}
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(further)
    return found


@pytest.fixture(scope="module")
def service() -> ModuleType:
    spec = importlib.util.spec_from_file_location("service", IMAGE / "service.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_api_needs_a_part_of_what_loanlake_does() -> None:
    def name(requirement: str) -> str:
        return Requirement(requirement).name

    api = {name(each) for each in PROJECT["dependency-groups"]["api"]}
    worker = {name(each) for each in PROJECT["project"]["dependencies"]}

    team = {name(each) for each in PROJECT["project"]["optional-dependencies"]["team"]}
    # but for the servers of a team, all of them: they are imported when a variable names a server
    assert api - worker == {each for each in team if not each.startswith("dagster")}


def test_the_api_can_be_imported_with_nothing_but_what_its_image_has() -> None:
    """Every module of serving; that it also opens a model of each family was tried by hand (docs/deployment.md)."""
    script = (
        "import importlib, pkgutil, sys\n"
        "from importlib.metadata import packages_distributions\n"
        "locked, owners = set(sys.argv[1:]), packages_distributions()\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        found = {owner.lower().replace('_', '-') for owner in owners.get(name.partition('.')[0], [])}\n"
        "        if found and not found & locked:\n"
        "            raise ModuleNotFoundError(f'{name} is not in the image', name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "import serving\n"
        "for found in pkgutil.walk_packages(serving.__path__, 'serving.'):\n"
        "    importlib.import_module(found.name)\n"
        "try:\n"
        "    import dagster\n"
        "except ModuleNotFoundError:\n"
        "    print('dagster is hidden')"
    )
    locked = _needed(PROJECT["dependency-groups"]["api"]) | {"loanlake"}

    done = subprocess.run([sys.executable, "-c", script, *locked], capture_output=True, text=True, check=False)

    assert (done.stdout.strip(), done.stderr) == ("dagster is hidden", "")


def test_an_image_runs_as_a_user_without_rights() -> None:
    stages = re.findall(r"^FROM (\S+) AS (\S+)", DOCKERFILE, re.MULTILINE)

    assert {stage: base for base, stage in stages}["api"] == "base"
    assert {stage: base for base, stage in stages}["worker"] == "base"
    # a stage may install as root, and each ends without rights
    for stage in re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE):
        assert not (users := re.findall(r"^USER (\S+)", stage, re.MULTILINE)) or users[-1] == "10001:10001"
    assert "USER 10001:10001" in DOCKERFILE
    # the one that docker build makes if none is named
    assert stages[-1][1] == "api"


def test_the_image_serves_where_the_command_does(api_paths: set[str]) -> None:
    port = next(parameter.default for parameter in serve.params if parameter.name == "port")
    checked = re.findall(r"127\.0\.0\.1:(\d+)(/\w+)", DOCKERFILE)

    assert f"EXPOSE {port}" in DOCKERFILE
    assert f'CMD ["loanlake", "serve", "--host", "0.0.0.0", "--port", "{port}"]' in DOCKERFILE
    assert checked == [(str(port), "/healthz")]
    assert {path for _, path in checked} <= api_paths


def test_what_is_copied_is_not_ignored() -> None:
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    }
    kept = {line[1:] for line in (IMAGE / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}

    assert copied <= kept
    assert [path for path in copied if not (REPOSITORY / path).exists()] == []
    # no data, home, environment or history
    assert {"var", ".venv", ".git", "tests", "docs"} & kept == set()


@pytest.mark.parametrize(
    ("name", "program", "port"),
    [
        ("webserver", "dagster-webserver", 3000),
        ("daemon", "orchestration.services.only_daemon", None),
        ("alive", "dagster-daemon", None),
        ("mlflow", "mlflow", 5000),
    ],
)
def test_a_service_is_a_program_of_the_worker(
    service: ModuleType, home: object, name: str, program: str, port: int | None
) -> None:
    command, _ = service.command(name)

    assert program in " ".join(command)
    assert all(Path(word).exists() for word in command if word.endswith(".yaml"))
    assert (str(port) in command) == (port is not None)


def test_a_teams_password_is_not_among_mlflows_arguments(
    service: ModuleType, home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of processes would show it."""
    monkeypatch.setenv("LOANLAKE_CATALOG", "postgres:host=db dbname=loanlake user=loanlake password=s3cret-word")
    monkeypatch.setenv("LOANLAKE_LAKE_DATA", "s3://lender-lake/lake/")
    monkeypatch.setattr("orchestration.running.instance.make_schemas", lambda settings: None)

    command, environment = service.command("mlflow")

    assert "s3cret-word" not in " ".join(command)
    assert "s3cret-word" in environment["MLFLOW_BACKEND_STORE_URI"]
    assert environment["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://lender-lake/lake-mlflow"


def test_a_service_that_there_is_not_is_refused(service: ModuleType) -> None:
    with pytest.raises(SystemExit, match="webserver, daemon, mlflow or alive: found scheduler"):
        service.main(["scheduler"])
