"""One copy of SQLite touches the lake's catalog in a process: DuckDB's own.

Python's is another, and what it closes takes the file locks of DuckDB's along: rows of a writer were lost, and readers
ended with a bus error. So does whatever else opens and closes the file.
"""

import ast
from functools import cache
from pathlib import Path

from warehouse.settings import REPOSITORY

SOURCE = ("warehouse", "ml", "serving", "orchestration", "benchmarks")
#: Opens the catalog by Python's SQLite, in a process in which nothing is attached.
PAGES, COPY = "warehouse/lake/catalog_pages.py", "warehouse/lake/catalog_copy.py"
IN_PROCESSES_OF_THEIR_OWN = {PAGES, COPY}
#: Names the catalog, and hands it to DuckDB, asks whether it is there, or leaves it out of what it copies.
HAND_IT_TO_DUCKDB = {
    "warehouse/settings/places.py",
    "warehouse/lake/connection.py",
    "warehouse/lake/maintenance.py",
    "warehouse/lake/dev_lakes.py",
    "warehouse/backup/contents.py",
}
#: Modules that bring, or lead to, a copy of SQLite, and calls that open a file or copy it.
OTHER_COPIES = {"sqlite3", "sqlalchemy", "aiosqlite", "mlflow", "dagster"}
OPENING = {"open", "read_bytes", "read_text", "write_bytes", "copy", "copy2", "copyfile", "copytree", "move"}


def test_only_a_process_of_its_own_gives_the_catalog_to_another_sqlite() -> None:
    naming = {name for name, tree in _modules() if _names_catalog(tree)}
    with_another = {name for name, tree in _modules() if name in naming and _imports(tree) & OTHER_COPIES}

    assert with_another == IN_PROCESSES_OF_THEIR_OWN
    assert naming == HAND_IT_TO_DUCKDB | IN_PROCESSES_OF_THEIR_OWN


def test_no_module_opens_the_catalog_as_a_file() -> None:
    opening = {
        name
        for name, tree in _modules()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _called(call) in OPENING and _names_catalog(call)
    }

    assert opening == set()


def test_what_opens_the_catalog_runs_only_as_a_program() -> None:
    """Called as a function it would close the catalog in its caller's process."""
    tree = dict(_modules())[PAGES]
    importable = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and "sqlite3.connect" in {_dotted(part) for part in ast.walk(node)}
    }
    imported = {
        alias.name
        for _, other in _modules()
        for node in ast.walk(other)
        if isinstance(node, ast.ImportFrom) and node.module == "warehouse.lake.catalog_pages"
        for alias in node.names
    }
    calls = {
        _called(call)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
    }

    assert importable == {"_vacuum"}
    assert imported == {"give_free_pages_back"}
    assert "_vacuum" not in calls


def test_what_copies_the_catalog_runs_only_as_a_program() -> None:
    """Its functions open the copy alone."""
    tree = dict(_modules())[COPY]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]

    opening = {
        (function.name, ast.unparse(call.args[0]))
        for function in functions
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and _called(call) in {"connect", "copy_sqlite", *OPENING}
    }

    assert opening == {("_contents", "f'{copy.as_uri()}?mode=ro'")}


@cache
def _modules() -> tuple[tuple[str, ast.Module], ...]:
    paths = [path for room in SOURCE for path in sorted(Path(REPOSITORY, room).rglob("*.py"))]
    return tuple((path.relative_to(REPOSITORY).as_posix(), ast.parse(path.read_text())) for path in paths)


def _names_catalog(tree: ast.AST) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr == "lake_catalog")
        or (isinstance(node, ast.FunctionDef) and node.name == "lake_catalog")
        or (isinstance(node, ast.Constant) and isinstance(node.value, str) and "catalog.sqlite" in node.value)
        for node in ast.walk(tree)
    )


def _imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def _called(call: ast.Call) -> str:
    return _dotted(call.func).rpartition(".")[2]


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
