"""The examples in docstrings are run: what they show is what happens."""

import doctest
import importlib
from pathlib import Path

import pytest

from warehouse.settings import REPOSITORY

PACKAGES = ("warehouse", "ml", "serving", "orchestration", "benchmarks")


def _modules() -> list[str]:
    paths = [path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))]
    with_examples = [path.relative_to(REPOSITORY) for path in paths if "    >>> " in path.read_text()]
    return [".".join(Path(path).with_suffix("").parts) for path in with_examples]


@pytest.mark.parametrize("name", _modules())
def test_examples_show_what_happens(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))

    assert found.failed == 0
