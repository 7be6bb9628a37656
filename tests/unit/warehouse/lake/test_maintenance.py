"""What maintenance may take away, and what it must not: rows of kept snapshots, files that a reader still reads."""

import os
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from warehouse.errors import LakeError
from warehouse.lake.changes import all_kept, changed_tables
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.lake.maintenance import Maintained, maintain
from warehouse.settings import Settings

NOTHING = timedelta(0)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, list[int]]:
    settings, snapshots = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("busy"))}), []
    statements = (
        "create table raw.t__tmp as select i, 'row ' || i as name from range(1000) r(i)",
        "alter table raw.t__tmp rename to t",
        "insert into raw.t select i, 'more ' || i from range(1000, 1500) r(i)",
        "insert into raw.t values (5000, 'inlined one'), (5001, 'inlined two')",
        "insert into raw.t select i, 'yet more' from range(2000, 2500) r(i)",
        "delete from raw.t where i % 2 = 0",
        "delete from raw.t where i = 5001",
    )
    with writer("test", settings) as con:
        for statement in statements:
            con.execute(statement)
            snapshots.append(current_snapshot(con))
    return settings, snapshots


@pytest.fixture
def busy_lake(home: Settings, filled: tuple[Settings, list[int]]) -> tuple[Settings, list[int]]:
    """A table written as dbt and programs do: in files, inlined, deleted from, renamed. Its snapshots, oldest first."""
    shutil.copytree(filled[0].home, home.home)
    return home, filled[1]


def _content(settings: Settings, snapshot: int) -> list[tuple[object, ...]]:
    with connect(settings) as con:
        query = f"select count(*), sum(i), count(distinct name), max(name) from raw.t at (version => {snapshot})"
        return con.execute(query).fetchall()


def _maintain(settings: Settings, *named: int, grace: timedelta = NOTHING) -> Maintained:
    return maintain(settings, named_snapshots=lambda: named, retention=NOTHING, grace=grace)


def _files(settings: Settings) -> set[Path]:
    return set((settings.home / "lake" / "data").rglob("*.parquet"))


def test_every_row_of_a_named_snapshot_stays_as_it_was(busy_lake: tuple[Settings, list[int]]) -> None:
    """Merging and rewriting put rows of several snapshots into one file: each snapshot must still see its own."""
    settings, snapshots = busy_lake
    named = snapshots[1:]
    before = [_content(settings, snapshot) for snapshot in named]

    done = _maintain(settings, *named)

    assert done.n_files_merged > 0
    assert done.n_files_rewritten > 0
    assert [_content(settings, snapshot) for snapshot in named] == before
    assert done.n_kept_for_use == len(named)


def test_snapshots_that_nobody_names_expire_and_their_files_go(busy_lake: tuple[Settings, list[int]]) -> None:
    settings, snapshots = busy_lake
    now = _content(settings, snapshots[-1])

    done = _maintain(settings)

    assert (done.n_snapshots, done.n_orphans_deleted) == (1, 0)
    assert len(_files(settings)) == 1
    with connect(settings) as con, pytest.raises(duckdb.Error, match="No snapshot found"):
        con.execute(f"from raw.t at (version => {snapshots[2]})")
    with connect(settings) as con:
        assert con.execute("select count(*), sum(i), count(distinct name), max(name) from raw.t").fetchall() == now


def test_a_snapshot_within_the_retention_stays(busy_lake: tuple[Settings, list[int]]) -> None:
    settings, snapshots = busy_lake
    before = [_content(settings, snapshot) for snapshot in snapshots[1:]]

    done = maintain(settings, retention=timedelta(hours=1), grace=NOTHING)

    assert done.n_snapshots_expired == 0
    assert [_content(settings, snapshot) for snapshot in snapshots[1:]] == before


def test_running_again_finds_nothing_to_do(busy_lake: tuple[Settings, list[int]]) -> None:
    settings, _ = busy_lake
    _maintain(settings)

    again = _maintain(settings)

    assert (again.n_files_merged, again.n_files_rewritten, again.n_files_deleted) == (0, 0, 0)


def test_a_reader_that_began_before_reads_on(busy_lake: tuple[Settings, list[int]]) -> None:
    """DuckLake 1.0 gives a transaction empty tables, and no error, once the snapshot it began on has expired."""
    settings, snapshots = busy_lake
    before = _content(settings, snapshots[-1])
    reader = connect(settings)
    reader.execute("begin")
    reader.execute("select count(*) from raw.t").fetchall()

    done = _maintain(settings, grace=timedelta(hours=1))
    found = reader.execute("select count(*), sum(i), count(distinct name), max(name) from raw.t").fetchall()
    reader.close()

    assert done.n_files_rewritten > 0
    assert found == before


def test_only_files_out_of_use_for_the_grace_time_are_deleted(busy_lake: tuple[Settings, list[int]]) -> None:
    """DuckLake 1.0 takes every moment of the day that is named for older than it."""
    settings, _ = busy_lake
    directory = next((settings.home / "lake" / "data").rglob("*.parquet")).parent
    stray = directory / "stray.parquet"
    stray.write_bytes(b"left by a writer that was killed")
    old = directory / "old-stray.parquet"
    old.write_bytes(b"left long ago")
    os.utime(old, (time.time() - 5 * 86_400,) * 2)

    done = _maintain(settings, grace=timedelta(hours=1))

    assert (done.n_files_deleted, done.n_orphans_deleted) == (0, 1)
    assert stray.exists()
    assert not old.exists()
    assert _maintain(settings).n_files_deleted > 0


def test_rows_that_the_catalog_holds_itself_are_forgotten_too(busy_lake: tuple[Settings, list[int]]) -> None:
    settings, _ = busy_lake
    assert b"inlined two" in settings.lake_catalog.read_bytes() + _wal(settings)

    _maintain(settings)

    assert b"inlined two" not in settings.lake_catalog.read_bytes() + _wal(settings)
    assert _content(settings, _newest(settings))[0][0] == 1_000


def test_maintenance_is_no_change_of_rows(busy_lake: tuple[Settings, list[int]]) -> None:
    """A build that would be left out must not be started by upkeep; expired snapshots, though, may hide a change."""
    settings, snapshots = busy_lake

    maintain(settings, retention=timedelta(hours=1), grace=NOTHING)
    with connect(settings) as con:
        assert changed_tables(con, after=snapshots[-1]) == frozenset()
        assert all_kept(con, after=snapshots[2])
    _maintain(settings)
    with connect(settings) as con:
        assert not all_kept(con, after=snapshots[2])
        assert all_kept(con, after=current_snapshot(con))


def test_a_home_without_a_lake_is_an_error(home: Settings) -> None:
    with pytest.raises(LakeError, match="no lake"):
        maintain(home, retention=NOTHING, grace=NOTHING)


def _wal(settings: Settings) -> bytes:
    path = settings.lake_catalog.with_name("catalog.sqlite-wal")
    return path.read_bytes() if path.exists() else b""


def _newest(settings: Settings) -> int:
    with connect(settings) as con:
        return current_snapshot(con)


def test_a_state_counts_as_old_from_when_it_was_superseded(busy_lake: tuple[Settings, list[int]]) -> None:
    """A lake that nothing changed for a year, and one write today: the state of yesterday is a day old, not a year."""
    settings, snapshots = busy_lake
    with closing(sqlite3.connect(settings.lake_catalog)) as catalog:
        catalog.execute(
            "update ducklake_snapshot set snapshot_time = '2020-01-01 00:00:00+00' where snapshot_id < ?",
            (snapshots[-1],),
        )
        catalog.commit()

    done = maintain(settings, retention=timedelta(hours=1), grace=NOTHING)

    assert _content(settings, snapshots[-2])[0][0] == 1_001
    with connect(settings) as con, pytest.raises(duckdb.Error, match="No snapshot found"):
        con.execute(f"from raw.t at (version => {snapshots[-3]})")
    assert done.n_snapshots_expired > 0
