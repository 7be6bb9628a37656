"""What an erasure kept of a snapshot's training rows is read in its place, and lets the snapshot go."""

from datetime import timedelta

from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.lake.maintenance import maintain
from warehouse.lake.training_rows import drop_unnamed, is_kept, kept_snapshots, rows_at, training_tables
from warehouse.settings import Settings

NOTHING = timedelta(0)
TABLE = "training.trn_default_v1"


def _kept(home: Settings) -> int:
    """A lake whose one training table was changed after a snapshot, of which a row is kept; that snapshot."""
    with writer("test", home) as con:
        con.execute(f"create table {TABLE} as from (values ('ann'), ('bob')) rows(application_id)")
        snapshot = current_snapshot(con)
        con.execute(f"create table {TABLE}_at_{snapshot} as from {TABLE} where application_id = 'bob'")
        con.execute(f"delete from {TABLE} where application_id = 'ann'")
    return snapshot


def test_rows_are_read_from_what_was_kept_and_else_from_the_snapshot(home: Settings) -> None:
    snapshot = _kept(home)

    with connect(home) as con:
        found = {each: con.execute(f"from {rows_at(con, TABLE, each)}").fetchall() for each in (snapshot, snapshot + 1)}

    assert found == {snapshot: [("bob",)], snapshot + 1: [("ann",), ("bob",)]}


def test_a_named_snapshot_goes_where_its_rows_are_kept_elsewhere(home: Settings) -> None:
    """A model's claim to its training set must not keep an erased person's rows for ever."""
    snapshot = _kept(home)

    done = maintain(home, named_snapshots=lambda: [snapshot, snapshot + 1], retention=NOTHING, grace=NOTHING)

    with connect(home) as con:
        left = {each for (each,) in con.execute("select snapshot_id from ducklake_snapshots('lake')").fetchall()}
        assert con.execute(f"from {rows_at(con, TABLE, snapshot)}").fetchall() == [("bob",)]
    assert snapshot not in left
    assert snapshot + 1 in left
    assert done.n_kept_for_use == 1


def test_what_was_kept_goes_once_nobody_names_its_snapshot(home: Settings) -> None:
    _kept(home)

    maintain(home, retention=NOTHING, grace=NOTHING)

    with connect(home) as con:
        assert kept_snapshots(con) == set()


def test_rows_of_a_version_that_a_lender_extends_are_kept_and_dropped_like_others(home: Settings) -> None:
    extended = "training.trn_default_v2_mybank"
    with writer("test", home) as con:
        for table in (extended, f"{extended}_at_7", f"{extended}_at_8", "training.trn_default_v2_at_7"):
            con.execute(f"create table {table} (application_id varchar)")

        assert training_tables(con) == [extended]
        assert kept_snapshots(con) == {7, 8}
        drop_unnamed(con, [8])
        assert kept_snapshots(con) == {8}
        assert (is_kept(con, extended, 7), is_kept(con, extended, 8)) == (False, True)
