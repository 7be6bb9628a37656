"""The embedded store has no size to be set, and can be written anew so that nothing deleted stays in it."""

from pathlib import Path

import pytest

from tests.unit.warehouse.online_store.opened_store import ANN, BOB, Opened, borrowers, write_anew, write_borrowers
from warehouse.errors import OnlineStoreError
from warehouse.online_store.lmdb_environment import opened
from warehouse.online_store.lmdb_store import LmdbStore
from warehouse.online_store.lmdb_writing import write_table


def test_the_map_grows_when_it_is_full(tmp_path: Path) -> None:
    many = [{"borrower_id": f"{number:06d}", "n_loans": number} for number in range(20_000)]
    with Opened(LmdbStore(tmp_path / "online", map_size=256 * 1024)) as store:
        result = write_borrowers(store, borrowers(*many), snapshot=7)

        assert result.n_written == 20_000
        assert store.borrower("019999") is not None


def test_no_byte_of_a_vanished_borrower_stays_in_a_store_written_anew(tmp_path: Path) -> None:
    """LMDB keeps deleted records in free pages."""
    many = [{"borrower_id": f"{number:06d}"} for number in range(2_000)]
    store = LmdbStore(tmp_path / "online")
    store.write("borrowers", borrowers(*many, {"borrower_id": "zoe"}), snapshot=7)
    store.write("borrowers", borrowers(*many), snapshot=8)
    assert b"zoe" in (tmp_path / "online" / "data.mdb").read_bytes()

    write_anew(store, borrowers(*many), snapshot=8)

    assert [path for path in tmp_path.rglob("*.mdb") if b"zoe" in path.read_bytes()] == []


def test_a_pass_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    with Opened(LmdbStore(tmp_path / "online")) as reader:
        write_borrowers(reader, borrowers(ANN), snapshot=7)

        with pytest.raises(OnlineStoreError, match="ordered by key"):
            write_anew(reader.store, borrowers(BOB, ANN), snapshot=8)

        assert reader.borrower("ann") is not None


def test_a_refresh_that_waited_for_a_store_written_anew_is_told(tmp_path: Path) -> None:
    """What it had opened is nobody's any more: its records would be lost without a word."""
    path = tmp_path / "online"
    store = LmdbStore(path)
    store.write("borrowers", borrowers(ANN), snapshot=7)

    with opened(path, map_size=1 << 24) as before:
        write_anew(store, borrowers(ANN), snapshot=8)
        with pytest.raises(OnlineStoreError, match="was rewritten while this refresh waited"):
            write_table(before, path, "borrowers", borrowers(ANN), 9)
