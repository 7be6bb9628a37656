"""Folders are rooms: a few files that tell one story, one door, and arrows that point one way.

import-linter keeps the order of the rooms (``pyproject.toml``); this keeps their size, their doors, and files apart.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from warehouse.settings import REPOSITORY

SOURCE = ("warehouse", "ml", "serving", "orchestration")
#: Files of one room beside its ``__init__``: what a person can keep in mind.
MOST_FILES = 12


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*SOURCE, cache_dir=None)


def _rooms() -> Iterator[Path]:
    for package in SOURCE:
        for init in (REPOSITORY / package).rglob("__init__.py"):
            yield init.parent


def _exports(room: str) -> set[str]:
    """``__all__`` of a room: names that it defines, and modules of it."""
    tree = ast.parse((REPOSITORY / room.replace(".", "/") / "__init__.py").read_text())
    found = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ]
    return set(found[0]) if found else set()


def _circle(imports: Mapping[str, set[str]]) -> list[str]:
    """Modules of which each imports the next and the last the first; empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_a_circle_is_found() -> None:
    assert sorted(set(_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}))) == ["a", "b", "c"]


def test_a_room_holds_a_few_files() -> None:
    sizes = {
        str(room.relative_to(REPOSITORY)): len([path for path in room.glob("*.py") if path.name != "__init__.py"])
        for room in _rooms()
    }

    assert {room: n for room, n in sizes.items() if n > MOST_FILES} == {}


def test_files_do_not_import_each_other_in_circles(graph: grimp.ImportGraph) -> None:
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    assert _circle(imports) == []


def test_rooms_are_entered_by_their_doors(graph: grimp.ImportGraph) -> None:
    """What a room's ``__all__`` does not name can be changed by looking into that room alone."""
    rooms = {
        f"{package}.{folder.name}"
        for package in SOURCE
        for folder in (REPOSITORY / package).iterdir()
        if (folder / "__init__.py").exists()
    }
    exports = {room: _exports(room) for room in rooms}

    through_the_wall = [
        f"{module} imports {imported}"
        for module in sorted(graph.modules)
        for imported in graph.find_modules_directly_imported_by(module)
        if (room := ".".join(imported.split(".")[:2])) in rooms
        and imported != room
        and not f"{module}.".startswith(f"{room}.")
        and not room.startswith("orchestration.defs")
        and imported.split(".")[2] not in exports[room]
    ]

    assert through_the_wall == []
