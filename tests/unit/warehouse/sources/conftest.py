"""Homes whose lake is there already: making one takes two seconds of processor time, copying it none."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

Rows = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an empty lake, to be copied and never written."""
    home = tmp_path_factory.mktemp("prepared") / "home"
    with writer("a test", Settings.from_environment({"LOANLAKE_HOME": str(home)})):
        pass
    return home


@pytest.fixture
def home(home: Settings, prepared_home: Path) -> Settings:
    """The test's own home, with an empty lake in it."""
    shutil.copytree(prepared_home, home.home)
    return home


@pytest.fixture
def rows(home: Settings) -> Rows:
    """The rows of a query on the lake."""

    def read(sql: str) -> list[tuple[object, ...]]:
        with connect(home) as con:
            return con.execute(sql).fetchall()

    return read
