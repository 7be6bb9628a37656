"""dbt's connection: writing commands take the lease and find every table, reading commands write nothing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import duckdb
import pytest

from warehouse import dbt_plugin
from warehouse.dbt_plugin import Plugin
from warehouse.errors import LakeBusyError
from warehouse.lake.connection import lease, writer
from warehouse.lake.dev_lakes import of_dev_lake
from warehouse.settings import DBT_PROJECT_DIR, Settings

Connect = Callable[..., duckdb.DuckDBPyConnection]


@pytest.fixture
def connect_as(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Opens the connection as a dbt command would; what it leaves to the process's end is done at the test's."""
    at_exit: list[Callable[[], object]] = []
    monkeypatch.setattr(dbt_plugin.atexit, "register", at_exit.append)

    def connect(command: str, target: str = "prod") -> duckdb.DuckDBPyConnection:
        monkeypatch.setattr(
            dbt_plugin, "get_flags", lambda: SimpleNamespace(WHICH=command, PROJECT_DIR=DBT_PROJECT_DIR)
        )
        con = duckdb.connect()
        Plugin("lake", plugin_config={"target": target}).configure_connection(con)
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


def test_a_dev_build_leaves_productions_lease_to_others(home: Settings, connect_as: Connect) -> None:
    """It held the lease for its whole length: batches and ingestion failed meanwhile."""
    with writer("a test", home):
        pass

    con = connect_as("build", "dev")

    with lease("another", replace(home, lease_seconds=0.1)):
        con.execute("create schema dev.core")
        con.execute("create table dev.core.t as select count(*) as n from lake.raw.files")
    assert con.execute("from dev.core.t").fetchone() == (0,)


def test_a_dev_build_cannot_write_to_production(home: Settings, connect_as: Connect) -> None:
    con = connect_as("build", "dev")

    with pytest.raises(duckdb.Error, match="read-only"):
        con.execute("drop table lake.raw.files")


def test_a_dev_build_reads_production_as_it_was_when_it_began(home: Settings, connect_as: Connect) -> None:
    con = connect_as("build", "dev")

    with writer("a test", home) as production:
        production.execute("insert into raw.files (file) values ('came later')")

    assert con.execute("select count(*) from lake.raw.files").fetchone() == (0,)


def test_two_dev_builds_of_one_person_take_turns(
    home: Settings, connect_as: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_as("build", "dev")
    own = of_dev_lake(home, home.dev_name)

    with (
        pytest.raises(LakeBusyError, match=f"held by 'dbt build into dev of {home.dev_name}'"),
        lease("another", replace(own, lease_seconds=0.1)),
    ):
        pass


def test_a_reading_command_of_dev_makes_no_lake(home: Settings, connect_as: Connect) -> None:
    con = connect_as("compile", "dev")

    found = con.execute("select database_name from duckdb_databases() where database_name in ('lake', 'dev')")
    assert len(found.fetchall()) == 2
    assert not home.home.exists()


def test_macros_find_the_settings_of_every_lender(connect_as: Connect) -> None:
    con = connect_as("compile")

    [(settings,)] = con.execute("select settings from memory.main.lender_settings").fetchall()
    assert {"lending_club", "simulated", "uci_credit_card"} <= {
        each["source"] for each in json.loads(settings)["lenders"]
    }
