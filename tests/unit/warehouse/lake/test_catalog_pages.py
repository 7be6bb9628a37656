"""The catalog's free pages are given back by a process of its own, and only while nobody reads."""

from pathlib import Path

import pytest

from warehouse.errors import LakeBusyError, LakeError
from warehouse.lake.catalog_pages import give_free_pages_back
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings


def test_what_was_deleted_leaves_the_catalog(home: Settings) -> None:
    with writer("a test", home) as con:
        con.execute("create table core.t as select 'of-a-person' as name")
        con.execute("drop table core.t")
        con.execute("call ducklake_expire_snapshots('lake', older_than => now())")
    assert b"of-a-person" in _bytes(home.lake_catalog)

    give_free_pages_back(home)

    assert b"of-a-person" not in _bytes(home.lake_catalog)


def test_a_query_that_reads_meanwhile_is_named_as_the_reason_to_wait(home: Settings) -> None:
    """Its next look into the catalog would find other row ids than its transaction began with."""
    with writer("a test", home) as con:
        con.execute("begin")
        con.execute("from raw.files")
        with pytest.raises(LakeBusyError, match=r"after 0\.2 s a query still reads .*/catalog\.sqlite"):
            give_free_pages_back(home, seconds=0.2)
        con.execute("commit")

    give_free_pages_back(home)


def test_a_catalog_that_is_not_there_is_not_created(home: Settings) -> None:
    with pytest.raises(LakeError, match="unable to open database file"):
        give_free_pages_back(home)

    assert not home.lake_catalog.exists()


def test_readers_that_come_while_pages_are_given_back_find_the_lake(home: Settings) -> None:
    with writer("a test", home):
        pass

    give_free_pages_back(home)

    with connect(home) as con:
        assert con.execute("select count(*) from raw.files").fetchone() == (0,)


def _bytes(catalog: Path) -> bytes:
    journal = catalog.with_name(f"{catalog.name}-wal")
    return catalog.read_bytes() + (journal.read_bytes() if journal.exists() else b"")
