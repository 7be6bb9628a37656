"""The pages describe what exists: links, versions and errors."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from warehouse import errors
from warehouse.cli.pages import PAGES as GENERATED
from warehouse.lake.connection import writer
from warehouse.settings import REPOSITORY, Settings
from warehouse.settings.registry import groups

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", GENERATED)
def test_generated_pages_are_those_of_the_code(page: str) -> None:
    assert (REPOSITORY / "docs" / page).read_text() == GENERATED[page](), "`make docs` writes it anew"


def test_every_variable_that_the_code_names_is_declared() -> None:
    """A name in a message or a comment that no declaration has was renamed, or never read."""
    known = {variable.name for variables in groups().values() for variable in variables}
    files = [
        path for room in ("warehouse", "ml", "serving", "orchestration") for path in (REPOSITORY / room).rglob("*")
    ]
    texts = {path: path.read_text() for path in files if path.suffix in {".py", ".yml", ".sql", ".html"}}

    unknown = {name for text in texts.values() for name in re.findall(r"LOANLAKE_[A-Z_]*[A-Z]\b", text)} - known

    assert unknown - {"LOANLAKE_WAIT_SECONDS"} == set()  # an example


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
