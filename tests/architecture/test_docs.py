"""The pages describe what exists: links, versions and errors."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from warehouse import errors
from warehouse.lake.connection import writer
from warehouse.settings import REPOSITORY, Settings

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(page.name[:4]) for page in sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))]

    assert numbers == list(range(1, len(numbers) + 1))


def test_the_tree_of_errors_names_every_error() -> None:
    drawn = re.findall(r"^[ │├└─]+(\w+)", errors.__doc__ or "", re.MULTILINE)

    assert sorted(drawn) == sorted(name for name, found in vars(errors).items() if isinstance(found, type))


def test_the_standard_duckdb_client_reads_the_lake_without_a_network(home: Settings, tmp_path: Path) -> None:
    """Its extensions are those of the wheels: a home without any, where none can be installed."""
    with writer("test", home):
        pass
    (tmp_path / "var").symlink_to(home.home)
    (snippet,) = re.findall(r"```python\n(from pathlib.*?)```", (REPOSITORY / "docs/sql.md").read_text(), re.DOTALL)

    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path / "nobody")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "is_drifted" in done.stdout


def test_the_docs_pin_the_duckdb_that_the_project_has() -> None:
    pins = re.findall(r"(duckdb(?:-extension-[a-z-]+)?)==([0-9.]+[0-9])", (REPOSITORY / "docs/sql.md").read_text())
    project = (REPOSITORY / "pyproject.toml").read_text()

    assert len(pins) == 3
    assert [f"{package}=={version}" for package, version in pins if f'"{package}=={version}"' not in project] == []
