"""Another engine that reads a table's files finds each row once, and no deleted one."""

import pyarrow.parquet as pq
import pytest

from warehouse.errors import LakeError
from warehouse.lake.connection import connect, writer
from warehouse.lake.data_files import TableFiles, table_files
from warehouse.settings import Settings


def rows_of(table: TableFiles) -> list[tuple[object, ...]]:
    """The rows, read as Spark reads them."""
    found: list[tuple[object, ...]] = []
    for file in table.files:
        deleted = set(pq.read_table(file.deletions)["pos"].to_pylist()) if file.deletions else set()
        rows = pq.read_table(file.path).to_pylist()
        for place, row in enumerate(rows):
            if place not in deleted:
                found.append(tuple(row[file.names[name]] if name in file.names else None for name in table.columns))
    return sorted(found, key=str)


def test_files_deletions_and_changed_columns_give_the_rows_of_the_table(home: Settings) -> None:
    with writer("test", home) as con:
        con.execute("create table raw.mine (id bigint, word varchar, gone varchar)")
        con.execute("insert into raw.mine select range, 'w' || range, 'x' from range(5)")
        con.execute("alter table raw.mine rename word to text")
        con.execute("alter table raw.mine drop gone")
        con.execute("alter table raw.mine add more date")
        con.execute("insert into raw.mine values (9, 'new', date '2024-02-29')")
        con.execute("delete from raw.mine where id in (1, 3)")

    with connect(home) as con:
        table = table_files(con, "raw.mine")
        expected = con.sql("select * from raw.mine").fetchall()

    assert table.columns == {"id": "BIGINT", "text": "VARCHAR", "more": "DATE"}
    assert rows_of(table) == sorted(expected, key=str)
    assert len(expected) == 4


def test_a_table_without_rows_has_columns_and_no_file(home: Settings) -> None:
    with writer("test", home) as con:
        con.execute("create table raw.mine (id bigint)")

    with connect(home) as con:
        table = table_files(con, "raw.mine")

    assert (table.columns, list(table.files)) == ({"id": "BIGINT"}, [])


def test_rows_kept_in_the_catalog_are_refused(home: Settings) -> None:
    with writer("test", home) as con:
        con.execute("call lake.set_option('data_inlining_row_limit', 10)")
        con.execute("create table raw.mine (id bigint)")
        con.execute("insert into raw.mine values (1)")

    with connect(home) as con, pytest.raises(LakeError, match=r"raw.mine: some of its rows may be in the lake's"):
        table_files(con, "raw.mine")


def test_an_unknown_table_is_named(home: Settings) -> None:
    with writer("test", home):
        pass

    with connect(home) as con, pytest.raises(LakeError, match=r"the lake has no table raw.yours"):
        table_files(con, "raw.yours")
