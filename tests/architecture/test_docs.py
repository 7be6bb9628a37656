"""The pages say what is there: every command, and no link into nothing."""

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from warehouse import errors
from warehouse.settings import REPOSITORY

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
COMMANDS = sorted(entry.name for entry in entry_points(group="loanlake.commands"))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_names_every_command(command: str) -> None:
    assert f"loanlake {command}" in (REPOSITORY / "README.md").read_text()


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
