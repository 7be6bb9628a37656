"""dbt's connection: writing commands take the lease and find every table, reading commands write nothing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import duckdb
import pytest

from warehouse import dbt_plugin
from warehouse.dbt_plugin import Plugin
from warehouse.errors import LakeBusyError
from warehouse.lake import lease, writer
from warehouse.settings import Settings

Connect = Callable[[str], duckdb.DuckDBPyConnection]


@pytest.fixture
def connect_as(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Opens the connection as a dbt command would; what it leaves to the process's end is done at the test's."""
    at_exit: list[Callable[[], object]] = []
    monkeypatch.setattr(dbt_plugin.atexit, "register", at_exit.append)

    def connect(command: str) -> duckdb.DuckDBPyConnection:
        monkeypatch.setattr(dbt_plugin, "get_flags", lambda: SimpleNamespace(WHICH=command))
        con = duckdb.connect()
        Plugin("lake", plugin_config={}).configure_connection(con)
        return con

    yield connect
    for action in at_exit:
        action()


def test_a_writing_command_finds_the_raw_tables_of_sources_never_loaded(connect_as: Connect) -> None:
    con = connect_as("build")

    assert con.execute("select count(*) from lake.raw.lending_club_loans").fetchone() == (0,)


def test_a_writing_command_keeps_the_lease_for_as_long_as_dbt_runs(home: Settings, connect_as: Connect) -> None:
    connect_as("run")

    with pytest.raises(LakeBusyError, match="held by 'dbt run'"), lease("another", replace(home, lease_seconds=0.1)):
        pass


@pytest.mark.parametrize("command", ["test", "docs", "show", "compile"])
def test_a_reading_command_cannot_write_and_takes_no_lease(home: Settings, connect_as: Connect, command: str) -> None:
    with writer("a test", home):
        pass

    con = connect_as(command)

    with lease("another", replace(home, lease_seconds=0.1)), pytest.raises(duckdb.Error, match="read-only"):
        con.execute("drop table lake.raw.files")


def test_a_reading_command_leaves_an_empty_home_empty(home: Settings, connect_as: Connect) -> None:
    """`dbt compile` on a fresh clone must work, and must not make a lake."""
    con = connect_as("compile")

    assert con.execute("select 1 from duckdb_databases() where database_name = 'lake'").fetchone() == (1,)
    assert not home.home.exists()
