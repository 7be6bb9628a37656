"""The embedded store has no size to be set."""

from pathlib import Path

from tests.unit.warehouse.online_store.opened_store import Opened, borrowers, write_borrowers
from warehouse.online_store.lmdb_store import LmdbStore


def test_the_map_grows_when_it_is_full(tmp_path: Path) -> None:
    many = [{"borrower_id": f"{number:06d}", "n_loans": number} for number in range(20_000)]
    with Opened(LmdbStore(tmp_path / "online", map_size=256 * 1024)) as store:
        result = write_borrowers(store, borrowers(*many), snapshot=7)

        assert result.n_written == 20_000
        assert store.borrower("019999") is not None
