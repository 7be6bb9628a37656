"""The shape of the repository: where things are, and what a newcomer never has to guess."""

import subprocess
from pathlib import Path, PurePosixPath

import pytest

from warehouse.settings import REPOSITORY

TOP_LEVEL = {
    *("warehouse", "ml", "serving", "orchestration", "tests", "benchmarks", "docs", "deploy", ".ci", ".gitignore"),
    *("README.md", "CHANGELOG.md", "LICENSE", "Makefile", "pyproject.toml", "requirements.lock"),
    *("dagster.yaml", "workspace.yaml"),
}
SOURCE = ("warehouse", "ml", "serving", "orchestration")
# names that say nothing of what is inside
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler", "handlers", "base", "core"}
# a module tells one story; the longest so far are the contract and the sources' declarations
LONGEST = 400


@pytest.fixture(scope="module")
def tracked() -> list[PurePosixPath]:
    """Every file git knows, or would add."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"this copy is not a git repository: {done.stderr.strip()}")
    return [PurePosixPath(line) for line in done.stdout.splitlines() if (REPOSITORY / line).exists()]


def _modules(tracked: list[PurePosixPath]) -> list[PurePosixPath]:
    return [path for path in tracked if path.suffix == ".py" and path.parts[0] in SOURCE]


def test_nothing_new_lies_at_the_top(tracked: list[PurePosixPath]) -> None:
    assert {path.parts[0] for path in tracked} <= TOP_LEVEL


def test_modules_are_named_for_what_they_hold(tracked: list[PurePosixPath]) -> None:
    assert [str(path) for path in _modules(tracked) if path.stem in EMPTY_NAMES] == []


def test_modules_fit_on_a_few_screens(tracked: list[PurePosixPath]) -> None:
    lengths = {str(path): len((REPOSITORY / path).read_text().splitlines()) for path in _modules(tracked)}

    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_unit_tests_mirror_the_source(tracked: list[PurePosixPath]) -> None:
    """``test_drift.py``, or ``test_drift_of_a_month.py``, in ``tests/unit/ml/monitoring`` is about ``drift`` there."""
    lost = [
        str(path)
        for path in tracked
        if path.parts[:2] == ("tests", "unit")
        and path.name.startswith("test_")
        and not _source_of(REPOSITORY.joinpath(*path.parts[2:-1]), path.stem.removeprefix("test_"))
    ]

    assert lost == []


def test_extended_tests_are_where_make_test_extended_looks(tracked: list[PurePosixPath]) -> None:
    """Prevents one that no command runs."""
    marked = [path for path in tracked if path.parts[0] == "tests" and path.name.startswith("test_")]
    marked = [path for path in marked if "mark." + "extended" in (REPOSITORY / path).read_text()]

    assert len(marked) > 5
    assert {path.parts[1] for path in marked} == {"integration", "failure"}


def test_every_module_says_what_it_is(tracked: list[PurePosixPath]) -> None:
    silent = [
        str(path)
        for path in _modules(tracked)
        if not (REPOSITORY / path).read_text().lstrip().startswith(('"""', 'r"""'))
    ]

    assert silent == []


def _source_of(folder: Path, name: str) -> bool:
    words = name.split("_")
    stems = ["_".join(words[:n]) for n in range(1, len(words) + 1)]
    # below the folder too: the sensors of each concern (orchestration/defs/*/sensors.py) are tested side by side
    return any(any(folder.rglob(f"{stem}.py")) or any(folder.rglob(stem)) for stem in stems)
