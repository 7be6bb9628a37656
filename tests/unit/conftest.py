"""A unit test's lake begins as a copy of an empty one: making its tables and comments took most of a test's time."""

import shutil
import sqlite3
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from warehouse.lake import connection as lake
from warehouse.settings import Settings

#: These are about how a lake comes to be.
_MAKE_THEIR_OWN = ("test_comments", "test_connection", "test_lease")


@pytest.fixture(scope="session")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose lake has every table that a writer creates, and no row."""
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("empty") / "home")})
    with lake.writer("tests", settings):
        pass
    return settings


@pytest.fixture(scope="module", autouse=True)
def lakes_begin_as_a_copy(request: pytest.FixtureRequest, empty_lake: Settings) -> Iterator[None]:
    """The first connection that may write finds the copy, and that nothing is missing in it."""
    if request.module.__name__.rpartition(".")[2] in _MAKE_THEIR_OWN:
        yield
        return
    attach = lake.attach

    def attach_copy(con: duckdb.DuckDBPyConnection, settings: Settings, *, read_only: bool, **options: Any) -> None:
        is_embedded = settings.catalog is None and settings.lake_data == settings.default_lake_data
        if is_embedded and not read_only and not settings.lake_catalog.exists():
            _copy(empty_lake, settings)
        attach(con, settings, read_only=read_only, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake, "attach", attach_copy)
        yield


def _copy(template: Settings, settings: Settings) -> None:
    settings.lake_catalog.parent.mkdir(parents=True, exist_ok=True)
    draft = settings.lake_catalog.with_suffix(".copy")
    shutil.copyfile(template.lake_catalog, draft)
    # nothing has attached the draft yet: another copy of SQLite takes no lock from DuckDB's
    with sqlite3.connect(draft) as con:
        con.execute("update ducklake_metadata set value = ? where key = 'data_path'", [settings.lake_data])
    con.close()
    draft.rename(settings.lake_catalog)
