"""A lender whose file declares connections, in a folder of the test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse.lake.connection import connect
from warehouse.lenders import rules
from warehouse.settings import Settings

Declare = Callable[[str], None]
Rows = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Write the file of the lender `bank`."""
    folder = tmp_path / "lenders"
    folder.mkdir()
    monkeypatch.setattr(rules, "DIRECTORY", folder)
    return lambda text: void((folder / "bank.yml").write_text(text))


def void(_: object) -> None:
    pass


@pytest.fixture
def rows(home: Settings) -> Rows:
    """The rows of a query on the lake."""

    def read(sql: str) -> list[tuple[object, ...]]:
        with connect(home) as con:
            return con.execute(sql).fetchall()

    return read
