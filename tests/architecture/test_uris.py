"""Paths become URIs by the library's function: by hand, one with ``#``, ``?`` or ``%`` in it names another file."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from warehouse.settings import REPOSITORY

#: The beginning of a URI of a file, behind which a value is put; DuckDB's own `sqlite:<path>` is none.
_BEGINNING = re.compile(r"\b(file:|sqlite:/+)[^{}\s]*$")


def test_no_uri_of_a_file_is_built_by_hand() -> None:
    """`Path.as_uri()`, or SQLAlchemy's `URL.create`."""
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}"
        for room in ("warehouse", "ml", "serving", "orchestration", "benchmarks", "tests")
        for path in sorted(Path(REPOSITORY, room).rglob("*.py"))
        for line in hand_built(path.read_text())
    ]

    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'connect(f"file:{path}?mode=ro", uri=True)',
        'engine = f"sqlite:///{home / name}"',
        '"sqlite:///" + str(path)',
        '"file://%s" % path',
        '"sqlite:///{}".format(path)',
        'uri.removeprefix("sqlite:///")',
        '"".join(["file://", path])',
    ],
)
def test_each_way_of_building_one_is_found(source: str) -> None:
    assert list(hand_built(source)) == [1]


def test_what_is_no_uri_of_a_path_is_left_alone() -> None:
    fine = 'f"{path.as_uri()}?mode=ro"; f"ducklake:sqlite:{path}"; place.startswith("file:"); f"profile: {name}"'

    assert list(hand_built(fine)) == []


def hand_built(source: str) -> Iterator[int]:
    """The lines on which a path becomes a URI, or a URI a path, as text."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.JoinedStr(values=values):
                pieces = pairwise(values)
                is_built = any(_begins(one) and isinstance(two, ast.FormattedValue) for one, two in pieces)
            case ast.BinOp(left=left, op=ast.Add()):
                is_built = _begins(left)
            case ast.BinOp(left=left, op=ast.Mod()):
                is_built = _begins(left, end=len("%s"))
            case ast.Call(func=ast.Attribute(value=text, attr="format")):
                is_built = _begins(text, end=len("{}"))
            case ast.Call(func=ast.Attribute(attr="removeprefix" | "replace" | "split"), args=[prefix, *_]):
                is_built = _begins(prefix)
            case ast.Call(func=ast.Attribute(attr="join"), args=[ast.List(elts=parts) | ast.Tuple(elts=parts)]):
                is_built = any(map(_begins, parts))
            case _:
                continue
        if is_built:
            yield node.lineno


def _begins(node: ast.AST, *, end: int = 0) -> bool:
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and bool(_BEGINNING.search(text[: len(text) - end]))
