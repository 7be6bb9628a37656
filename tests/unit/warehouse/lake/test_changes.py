"""Which tables, and which of their rows, have changed since a snapshot."""

from warehouse.lake.changes import changed_rows, changed_tables
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.settings import Settings


def test_tables_written_replaced_and_emptied_are_changed_and_others_are_not(home: Settings) -> None:
    with writer("test", home) as con:
        for name in ("written", "replaced", "emptied", "left"):
            con.execute(f"create table core.{name} as select 1 as a")
        before = current_snapshot(con)
        con.execute("insert into core.written values (2)")
        con.execute("create or replace table core.replaced as select 3 as a")
        con.execute("delete from core.emptied")
        con.execute("create view core.seen as select 1 as a")

    with connect(home) as con:
        found = changed_tables(con, after=before)

    assert found == {"core.written", "core.replaced", "core.emptied", "core.seen"}


def test_a_large_insert_is_a_change_like_a_small_one(home: Settings) -> None:
    """Small inserts are kept in the catalog and large ones in Parquet: DuckLake names the two differently."""
    with writer("test", home) as con:
        con.execute("create table core.written (a bigint)")
        before = current_snapshot(con)
        con.execute("insert into core.written select * from range(100_000)")

    with connect(home) as con:
        assert changed_tables(con, after=before) == {"core.written"}


def test_nothing_has_changed_since_the_newest_snapshot(home: Settings) -> None:
    with writer("test", home) as con:
        con.execute("create table core.written as select 1 as a")

    with connect(home) as con:
        assert changed_tables(con, after=current_snapshot(con)) == frozenset()


def test_rows_written_and_rows_taken_away_are_changed_and_others_are_not(home: Settings) -> None:
    with writer("test", home) as con:
        con.execute("create table core.written as select unnest([1, 2, 3]) as a")
        before = current_snapshot(con)
        con.execute("insert into core.written values (4)")
        con.execute("delete from core.written where a = 2")

    with connect(home) as con:
        rows, none = (changed_rows(con, "core.written", after=since) for since in (before, current_snapshot(con)))
        assert con.execute(f"select a, change_type from {rows} order by a").fetchall() == [(2, "delete"), (4, "insert")]
        assert con.execute(f"select a from {none}").fetchall() == []


def test_what_changed_in_a_table_made_anew_or_in_expired_snapshots_is_not_known(home: Settings) -> None:
    with writer("test", home) as con:
        con.execute("create table core.kept as select 1 as a")
        con.execute("create table core.replaced as select 1 as a")
        before = current_snapshot(con)
        con.execute("create or replace table core.replaced as select 1 as a")
        con.execute("insert into core.kept values (2)")
        known = [changed_rows(con, table, after=before) for table in ("core.kept", "core.replaced", "core.missing")]
        con.execute("call ducklake_expire_snapshots('lake', older_than => now())")
        expired = changed_rows(con, "core.kept", after=before)

    assert [rows is None for rows in (*known, expired)] == [False, True, True, True]
