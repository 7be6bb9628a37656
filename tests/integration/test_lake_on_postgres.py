"""Team mode: the lake's catalog, and its lease, on a PostgreSQL server.

``tests/team_servers.py`` says which server they need.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from tests.unit.warehouse.alerts.shown_alerts import alert, show
from warehouse.alerts import sending
from warehouse.alerts.routes import Route
from warehouse.errors import LakeBusyError, LakeError, NoLakeError
from warehouse.lake.connection import DEV, attach, connect, lease, writer
from warehouse.lake.dev_lakes import dev_lakes, drop_dev_lake, of_dev_lake
from warehouse.lake.maintenance import maintain
from warehouse.settings import Settings
from warehouse.sources import ingest_files


def write_rows(team: Settings, process: int) -> None:
    for commit in range(2):
        with writer(f"writer {process}", team) as con:
            con.execute("insert into core.t select ?", [process * 2 + commit])


def read_rows(team: Settings) -> int:
    with connect(team) as con:
        return max(int(con.execute("select count(*) from core.t").fetchall()[0][0]) for _ in range(10))


def test_a_file_loads_and_is_read_back(team: Settings, tmp_path: Path) -> None:
    (tmp_path / "loans.csv").write_text("id,amount\n1,100\n2\n")

    ingest_files("mybank", [tmp_path / "loans.csv"], team, "loans")

    with connect(team) as con:
        assert con.execute("select id, amount, _line from raw.mybank_loans").fetchall() == [("1", "100", 2)]
        assert con.execute("select line from raw.rejected_lines").fetchall() == [(3,)]
    assert not team.lake_catalog.exists()


def test_six_processes_read_and_write_without_one_failure(team: Settings) -> None:
    with writer("a test", team) as con:
        con.execute("create table core.t (a bigint)")

    with ProcessPoolExecutor(6, mp_context=multiprocessing.get_context("spawn")) as processes:
        writes = [processes.submit(write_rows, team, process) for process in range(3)]
        reads = [processes.submit(read_rows, team) for _ in range(3)]
        for done in [*writes, *reads]:
            done.result(timeout=300)

    with connect(team) as con:
        rows = con.execute("select a from core.t order by a").fetchall()
    assert [a for (a,) in rows] == list(range(6))


def test_a_second_writer_is_told_who_holds_the_lease(team: Settings) -> None:
    """The holder may be on another machine: the server knows its name."""
    impatient = replace(team, lease_seconds=0.2)

    with (
        lease("dbt build", team),
        pytest.raises(LakeBusyError, match=r"after 0.2 s it is still held by 'dbt build' \(from .*, since 20"),
        lease("ingest", impatient),
    ):
        pass


def test_the_lease_is_free_when_its_session_ends(team: Settings) -> None:
    with lease("gone", team):
        pass

    with lease("the next", replace(team, lease_seconds=0.5)):
        pass


def test_a_reader_of_a_database_without_a_lake_is_told_so(team: Settings) -> None:
    with pytest.raises(NoLakeError, match="the lake's catalog is there, and holds no lake: run `loanlake ingest`"):
        connect(team)


def test_a_server_that_does_not_answer_is_a_lake_error(home: Settings) -> None:
    nowhere = replace(home, catalog="host=127.0.0.1 port=1 dbname=none connect_timeout=2")

    with pytest.raises(LakeError, match="the lake's catalog, a PostgreSQL database, cannot be reached"):  # noqa: SIM117
        with writer("a test", nowhere):
            pass


def test_a_dev_lake_has_a_schema_a_lease_and_files_of_its_own(team: Settings, tmp_path: Path) -> None:
    team = replace(team, lake_data=f"{tmp_path}/parquet/", lease_seconds=1.0)
    own = of_dev_lake(team, "ada")
    with writer("a test", team) as con:
        con.execute("create table core.t as select 1 as a")

    with lease("dbt build", own), lease("a writer of production", team), connect(team) as con:
        attach(con, own, read_only=False, name=DEV)
        con.execute("create schema dev.core")
        con.execute("create table dev.core.t as select a + 1 as a from lake.core.t")

    assert dev_lakes(team) == ["ada"]
    with connect(own) as con:
        assert con.execute("from core.t").fetchone() == (2,)
    assert len(list((tmp_path / "parquet-dev" / "ada").rglob("*.parquet"))) == 1
    drop_dev_lake(team, "ada")
    assert dev_lakes(team) == []
    assert not (tmp_path / "parquet-dev" / "ada").exists()
    with connect(team) as con:
        assert con.execute("from core.t").fetchone() == (1,)


def test_two_machines_that_send_alerts_at_a_time_send_each_message_once(
    team: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each machine has a home of its own with a lock file of its own; the catalog's server is what they share."""
    machines = [replace(team, home=tmp_path / name) for name in ("one", "two")]
    show(team, alert())
    monkeypatch.setenv("HOOK_URL", "json://127.0.0.1:9/hook")
    for machine in machines:
        machine.home.mkdir()
        machine.alert_routes.write_text("routes: {hook: {url: {environment: HOOK_URL}}}")
    delivered: list[str] = []

    def slow(route: Route, title: str, *_: object, **__: object) -> str:
        time.sleep(0.5)  # the other machine asks meanwhile
        delivered.append(f"{route.name}: {title}")
        return ""

    monkeypatch.setattr(sending, "deliver", slow)
    with ThreadPoolExecutor(2) as pool:
        sent = [*pool.map(sending.send_due, machines)]

    assert delivered == ["hook: Loanlake: 1 new alert of bank"]
    assert sorted(map(len, sent)) == [0, 1]


def test_of_a_merge_and_a_delete_at_the_same_time_no_row_comes_back(team: Settings, tmp_path: Path) -> None:
    """ducklake#1094: on PostgreSQL both may commit, and the merged file has the deleted rows again.

    Under the lease they take turns; two threads try until both have done it several times.
    """
    team = replace(team, lake_data=f"{tmp_path}/parquet/", lease_seconds=60.0)
    with writer("a test", team) as con:
        con.execute("create table core.t (a bigint)")
        for start in range(0, 60, 10):
            con.execute("insert into core.t select i from range(?, ?) r(i)", [start, start + 10])

    def delete(number: int) -> None:
        with writer("delete", team) as con:
            con.execute("delete from core.t where a % 10 = ?", [number])

    def merge(_: int) -> None:
        maintain(team, retention=timedelta(0), grace=timedelta(0))

    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(work, number) for number in range(4) for work in (delete, merge)]
        for each in done:
            each.result(timeout=300)

    with connect(team) as con:
        rows = con.execute("select a from core.t order by a").fetchall()
        assert [a for (a,) in rows] == [a for a in range(60) if a % 10 > 3]


@pytest.mark.extended
def test_merging_many_tables_ends(team: Settings, tmp_path: Path) -> None:
    """ducklake#851: a merge by several threads may wait for itself forever."""
    team = replace(team, lake_data=f"{tmp_path}/parquet/")
    with writer("a test", team) as con:
        for table in range(12):
            con.execute(f"create table core.t{table} (a bigint)")
            for start in range(4):
                con.execute(f"insert into core.t{table} values ({start})")

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        done = process.submit(maintain, team, retention=timedelta(0), grace=timedelta(0)).result(timeout=120)

    assert done.n_files_merged == 48


def test_expiry_leaves_no_row_in_the_catalog(team: Settings, tmp_path: Path) -> None:
    """ducklake#1390: rows inlined in the catalog outlive the snapshots that could see them.

    Loanlake inlines none; a row that another client's setting inlined is removed by maintenance.
    """
    team = replace(team, lake_data=f"{tmp_path}/parquet/")
    with writer("a test", team) as con:
        con.execute("create table core.t (name varchar)")
        con.execute("insert into core.t values ('sensitive-1')")
        con.execute("call lake.set_option('data_inlining_row_limit', 100)")
        con.execute("insert into core.t values ('sensitive-2')")
        con.execute("delete from core.t")

    maintain(team, retention=timedelta(0), grace=timedelta(0))

    with psycopg.connect(team.catalog or "") as catalog:
        tables = catalog.execute("select tablename from pg_tables where tablename like 'ducklake_inlined_data_%'")
        names = [name for (name,) in tables.fetchall() if name != "ducklake_inlined_data_tables"]
        left = [row for name in names for row in catalog.execute(f'select * from "{name}"').fetchall()]
    assert [row for row in left if any("sensitive" in str(value) for value in row)] == []
