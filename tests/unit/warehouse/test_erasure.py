"""Erasing from the lake, where a build is not needed to see it."""

from datetime import timedelta

from warehouse.erasure import LakeErasure, erase
from warehouse.lake import connect, writer
from warehouse.maintenance import maintain
from warehouse.person import Person, rows_held
from warehouse.settings import Settings

ANN = Person("b-ann", {"a-ann"})


def _erase(home: Settings, person: Person) -> dict[str, int]:
    with writer("test", home) as con:
        what = LakeErasure(person, tuple(rows_held(home, con, person)), names=None)
        return erase(con, what, lines={}, rewritten={}, record=lambda counts: None)


def test_no_byte_is_left_where_a_table_loses_its_last_row(home: Settings) -> None:
    """The catalog keeps the least and the greatest value of each column, also of a table that is empty by now."""
    with writer("test", home) as con:
        con.execute(
            "insert into monitoring.walk_forward_decisions by name select 'main' as run, 'a-ann' as application_id"
        )
        con.execute(
            "create table core.int_applications as from (values ('b-ann', 'a-ann')) t(borrower_id, application_id)"
        )

    counts = _erase(home, ANN)
    maintain(home, retention=timedelta(0), grace=timedelta(0))

    assert counts == {"core.int_applications": 1, "monitoring.walk_forward_decisions": 1}
    files = [path for path in home.home.rglob("*") if path.is_file()]
    assert [path.name for path in files if b"a-ann" in path.read_bytes()] == []
    with writer("test", home) as con:  # a table that was emptied takes rows again, and finds them
        con.execute("insert into core.int_applications values ('b-bob', 'a-bob'), ('b-zoe', 'a-zoe')")
    with connect(home) as con:
        found = con.execute("select application_id from core.int_applications where borrower_id > 'b-c'").fetchall()
    assert found == [("a-zoe",)]
