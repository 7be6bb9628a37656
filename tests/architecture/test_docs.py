"""The pages describe what exists: links, versions and errors."""

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from warehouse import errors
from warehouse.cli.pages import PAGES as GENERATED
from warehouse.lake.connection import writer
from warehouse.settings import REPOSITORY, Settings
from warehouse.settings.registry import groups

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
TEMPLATES = sorted(REPOSITORY.glob("serving/page/templates/*.html"))
NOT_PLAIN = {
    "told": "reported, shown",
    "shall": "will, must",
    "nobody": "no caller, no one",
    "anew": "again",
    "amiss": "wrong, limited",
    "mend(?:s|ed)?": "fix, correct",
    "at once": "immediately, at the same time",
    "so many": "N, up to N",
    "lets? go of": "release, delete, archive",
    "(?:had|made) again": "restored, rebuilt",
    "asked after": "in the background",
    "asks for": "needs, requires",
    "under way": "in progress, running",
    "what is so": "the current state",
}


@pytest.mark.parametrize("page", GENERATED)
def test_generated_pages_are_those_of_the_code(page: str) -> None:
    assert (REPOSITORY / "docs" / page).read_text() == GENERATED[page](), "`make docs` writes it anew"


def test_every_variable_that_the_code_names_is_declared() -> None:
    """A name in a message or a comment that no declaration has was renamed, or never read."""
    known = {variable.name for variables in groups().values() for variable in variables}
    files = [
        path for room in ("warehouse", "ml", "serving", "orchestration") for path in (REPOSITORY / room).rglob("*")
    ]
    texts = {
        path: path.read_text() for path in files if path.suffix in {".py", ".yml", ".sql", ".html"} and path.is_file()
    }

    unknown = {name for text in texts.values() for name in re.findall(r"LOANLAKE_[A-Z_]*[A-Z]\b", text)} - known

    assert unknown - {"LOANLAKE_WAIT_SECONDS"} == set()  # an example


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_anchors_lead_to_headings(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]*\.md)?#([^)]+)\)", page.read_text())

    wrong = [
        f"{target}#{anchor}"
        for target, anchor in links
        if anchor not in _anchors((page.parent / target if target else page).read_text())
    ]

    assert wrong == []


def _anchors(text: str) -> set[str]:
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    """A path in backticks, from the repository's root; a name with `<…>`, `*` or `…` stands for several."""
    rooms = r"(?:warehouse|ml|serving|orchestration|tests|deploy|benchmarks|docs)"
    named = re.findall(rf"`({rooms}/[\w./-]+\.(?:py|sql|yml|md|html))`", page.read_text())

    made_up = ("mybank", "nordbank", "quickloan", "opentable", "ridgeway", "_N.")

    unknown = [path for path in named if not (REPOSITORY / path).exists() and not any(each in path for each in made_up)]
    assert page.name == "CHANGELOG.md" or unknown == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_commands_that_a_page_names_exist(page: Path) -> None:
    """`loanlake model promote`, not the `loanlake promote` of an earlier state."""
    commands = {entry.name.replace(".", " ") for entry in entry_points(group="loanlake.commands")}
    groups_of_commands = {command.split()[0] for command in commands if " " in command}
    named = set(re.findall(r"\bloanlake ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", "\n".join(_code(page.read_text()))))

    unknown = {
        words
        for words in named
        if words not in commands | groups_of_commands and words.split()[0] not in commands - groups_of_commands
    }

    assert page.name == "CHANGELOG.md" or unknown == set()


def _code(text: str) -> list[str]:
    return re.findall(r"`(loanlake [^`]+)`", text) + re.findall(r"^\w*(?:\$ )?(loanlake .+)$", text, re.MULTILINE)


@pytest.mark.parametrize("page", [*PAGES, *TEMPLATES], ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_pages_are_in_plain_english(page: Path) -> None:
    """The glossary: words that readers have to guess, and what to write instead."""
    found = {phrase: word for phrase, word in NOT_PLAIN.items() if re.search(rf"\b{phrase}\b", page.read_text())}

    assert page.name == "CHANGELOG.md" or found == {}


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(page.name[:4]) for page in sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))]

    assert numbers == list(range(1, len(numbers) + 1))


def test_the_tree_of_errors_names_every_error() -> None:
    drawn = re.findall(r"\w+", (errors.__doc__ or "").partition("::")[2])

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
