"""Every online store keeps records to the bit, writes only what changed, and serves readers while it is written."""

import os
import subprocess
import sys
import textwrap
import threading
from datetime import date

import pyarrow as pa
import pytest

from tests.unit.warehouse.online_store.opened_store import (
    ANN,
    BOB,
    LATER,
    NOON,
    Opened,
    borrowers,
    write_anew,
    write_borrowers,
    write_cohorts,
)
from warehouse.errors import OnlineStoreError, OnlineStoreUnavailable
from warehouse.online_store import Freshness, WriteResult, borrower_key, cohort_key, open_store
from warehouse.online_store.lmdb_store import LmdbStore
from warehouse.settings import Settings


def test_a_borrower_is_found_with_values_time_and_snapshot(store: Opened) -> None:
    write_borrowers(store, borrowers(ANN, BOB), snapshot=7)

    found = store.borrower("ann")

    assert found is not None
    assert found.values == {"n_loans": 2, "balance": 0.1 + 0.2}
    assert (found.as_of, found.snapshot) == (NOON, 7)


def test_an_unknown_borrower_is_none(store: Opened) -> None:
    write_borrowers(store, borrowers(ANN), snapshot=7)

    assert store.borrower("an") is None


def test_every_type_of_value_comes_back_as_it_was(store: Opened) -> None:
    """The compiled features refuse 1 where DuckDB has 1.0, and text where it has a date."""
    values = {
        "whole": pa.array([3], pa.int64()),
        "double": pa.array([3.0]),
        "flag": pa.array([True]),
        "word": pa.array(["é"]),
        "day": pa.array([date(2024, 2, 29)]),
        "moment": pa.array([NOON], pa.timestamp("us")),
        "nothing": pa.array([None], pa.date32()),
    }
    keys = {"borrower_id": ["ann"], "source": ["simulated"], "as_of": pa.array([NOON], pa.timestamp("us"))}
    write_borrowers(store, pa.table({**keys, **values}).to_batches(), snapshot=1)

    found = store.borrower("ann")

    assert found is not None
    expected = {
        "whole": 3,
        "double": 3.0,
        "flag": True,
        "word": "é",
        "day": date(2024, 2, 29),
        "moment": NOON,
        "nothing": None,
    }
    assert found.values == expected
    assert [type(value) for value in found.values.values()] == [type(value) for value in expected.values()]


def test_a_borrower_of_one_lender_is_none_of_another(store: Opened) -> None:
    """A caller of one lender could read another lender's history by sending its borrower's id."""
    write_borrowers(store, borrowers(ANN, source="cards") + borrowers(ANN | {"n_loans": 5}), snapshot=7)

    of_cards, of_simulated = store.borrower("ann", "cards"), store.borrower("ann")

    assert of_cards is not None
    assert of_simulated is not None
    assert (of_cards.values["n_loans"], of_simulated.values["n_loans"]) == (2, 5)
    assert store.borrower("ann", "cars") is None


def test_only_changed_borrowers_are_written_and_vanished_ones_deleted(store: Opened) -> None:
    cleo, dora = {"borrower_id": "cleo"}, {"borrower_id": "dora"}
    write_borrowers(store, borrowers(ANN, BOB, cleo), snapshot=7)

    result = write_borrowers(store, borrowers(ANN, {**BOB, "n_loans": 1}, dora), snapshot=8)

    assert result == WriteResult(n_written=2, n_unchanged=1, n_deleted=1)
    assert store.borrower("cleo") is None


def test_a_record_left_alone_is_as_recent_as_the_refresh_that_left_it(store: Opened) -> None:
    """Else every record would have to be rewritten at each refresh, or look ever older."""
    write_borrowers(store, borrowers(ANN), snapshot=7)
    write_borrowers(store, borrowers(ANN, as_of=LATER), snapshot=9)

    found = store.borrower("ann")

    assert found is not None
    assert (found.as_of, found.snapshot) == (LATER, 9)
    assert store.freshness() == {"simulated": Freshness(LATER, 9)}


def test_minus_zero_is_another_value_than_zero(store: Opened) -> None:
    """1 / -0.0 is another infinity: features are compared to the bit."""
    write_borrowers(store, borrowers(BOB), snapshot=7)

    assert write_borrowers(store, borrowers({**BOB, "balance": 0.0}), snapshot=8).n_written == 1


def test_an_empty_table_empties_the_store(store: Opened) -> None:
    write_borrowers(store, borrowers(ANN, BOB), snapshot=7)

    assert write_borrowers(store, [], snapshot=8) == WriteResult(n_deleted=2)
    assert store.freshness() == {}


def test_another_set_of_columns_rewrites_the_records(store: Opened) -> None:
    write_borrowers(store, borrowers(ANN), snapshot=7)
    keys = {"borrower_id": ["ann"], "source": ["simulated"], "as_of": pa.array([NOON], pa.timestamp("us"))}
    renamed = pa.table({**keys, "n_accounts": [2], "balance": [0.3]}).to_batches()

    write_borrowers(store, renamed, snapshot=8)

    found = store.borrower("ann")
    assert found is not None
    assert found.values == {"n_accounts": 2, "balance": 0.3}


def test_rows_out_of_order_are_refused(store: Opened) -> None:
    with pytest.raises(OnlineStoreError, match=r"ordered by key, each once: found b'.*ann' after b'.*bob'"):
        write_borrowers(store, borrowers(BOB, ANN), snapshot=7)


def test_a_column_type_that_would_not_come_back_is_refused(store: Opened) -> None:
    keys = {"borrower_id": ["ann"], "source": ["simulated"], "as_of": pa.array([NOON], pa.timestamp("us"))}
    table = pa.table({**keys, "total": pa.array([1], pa.decimal128(38, 0))})

    with pytest.raises(OnlineStoreError, match=r"column total: .* found decimal128\(38, 0\); cast it in the model"):
        write_borrowers(store, table.to_batches(), snapshot=7)


def cohorts(*rates: float) -> list[pa.RecordBatch]:
    table = pa.table(
        {
            "source": ["a", "a", "b"],
            "segment": ["purpose", "region", "purpose"],
            "segment_value": ["car", "north", "car"],
            "as_of": pa.array([NOON] * 3, pa.timestamp("us")),
            "default_rate": rates,
        }
    )
    return table.to_batches()


def test_cohorts_are_found_by_source_segment_and_value(store: Opened) -> None:
    write_cohorts(store, cohorts(0.1, 0.2, 0.3), snapshot=7)

    found = store.cohort("b", "purpose", "car")
    assert found is not None
    assert found.values == {"default_rate": 0.3}
    assert store.cohort("b", "region", "north") is None


def test_a_cohort_that_was_read_before_is_read_anew_after_a_refresh(store: Opened) -> None:
    write_cohorts(store, cohorts(0.1, 0.2, 0.3), snapshot=7)
    before, unknown = store.cohort("b", "purpose", "car"), store.cohort("b", "purpose", "boat")

    write_cohorts(store, cohorts(0.1, 0.2, 0.4), snapshot=8)

    after = store.cohort("b", "purpose", "car")
    assert unknown is None
    assert [record and (record.values, record.snapshot) for record in (before, after)] == [
        ({"default_rate": 0.3}, 7),
        ({"default_rate": 0.4}, 8),
    ]


def test_a_store_that_was_never_written_says_so_until_it_is(settings: Settings) -> None:
    """The API starts before the first refresh, and must not take every borrower for unknown."""
    with Opened(open_store(settings)) as reader:
        with pytest.raises(OnlineStoreUnavailable, match="`loanlake run`"):
            reader.borrower("ann")

        open_store(settings).write("borrowers", borrowers(ANN), snapshot=7)

        assert reader.borrower("ann") is not None
        assert reader.borrower("bob") is None


def test_records_of_one_read_come_in_the_order_asked_for(store: Opened) -> None:
    write_borrowers(store, borrowers(ANN, BOB), snapshot=7)

    found = store.read(
        borrower_key("simulated", "bob"), cohort_key("simulated", "purpose", "car"), borrower_key("simulated", "ann")
    )

    assert [record and record.values["n_loans"] for record in found] == [None, None, 2]
    assert found[0] is not None


def test_many_pages_are_kept_in_line(settings: Settings) -> None:
    """More records than a page of keys or a transaction holds, and every kind of change in one pass."""
    before = [{"borrower_id": f"{number:06d}", "n_loans": number} for number in range(25_000)]
    after = [{**row, "n_loans": -1} if row["n_loans"] % 5_000 == 0 else row for row in before[:20_000:2]]
    after += [{"borrower_id": f"{number:06d}"} for number in range(30_000, 33_000)]
    with Opened(open_store(settings)) as store:
        write_borrowers(store, borrowers(*before), snapshot=7)

        changed = write_borrowers(store, borrowers(*after), snapshot=8)
        again = write_borrowers(store, borrowers(*after), snapshot=9)

        assert changed == WriteResult(n_written=3_004, n_unchanged=9_996, n_deleted=15_000)
        assert again == WriteResult(n_unchanged=13_000)
        assert [store.borrower(f"{number:06d}") is None for number in (1, 2, 19_998, 24_999, 32_999)] == [
            True, False, False, True, False,
        ]  # fmt: skip


def test_keys_that_begin_alike_are_merged_in_order(store: Opened) -> None:
    """A digest behind a key must not outrank the next character of a longer key."""
    rows = [{"borrower_id": name} for name in ("a", "a!", "a0", "aa", "ä", "ää")]
    write_borrowers(store, borrowers(*rows), snapshot=7)

    assert write_borrowers(store, borrowers(*rows[1:]), snapshot=8) == WriteResult(n_unchanged=5, n_deleted=1)


def test_two_refreshes_at_once_take_turns(settings: Settings) -> None:
    """Two passes at once would each delete what the other has just written."""
    rows = borrowers(*({"borrower_id": f"{number:06d}"} for number in range(3_000)))
    results: list[WriteResult] = []

    def run() -> None:
        results.append(open_store(settings).write("borrowers", rows, snapshot=7))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(result.n_written for result in results) == [0, 0, 3_000]
    assert all(result.n_deleted == 0 for result in results)


def test_a_reader_in_another_process_sees_what_a_refresh_writes(settings: Settings) -> None:
    """Also when the writer has grown LMDB's map past the one the reader opened."""
    small_map = 256 * 1024
    store = LmdbStore(settings.online_store, map_size=small_map) if settings.redis_url is None else open_store(settings)
    store.write("borrowers", borrowers(ANN), snapshot=7)
    program = textwrap.dedent(
        f"""
        import asyncio, sys
        from warehouse.online_store import borrower_key, open_store
        from warehouse.online_store.lmdb_store import LmdbStore
        from warehouse.settings import Settings
        settings = Settings.from_environment()
        is_lmdb = settings.redis_url is None
        store = LmdbStore(settings.online_store, map_size={small_map}) if is_lmdb else open_store(settings)
        with asyncio.Runner() as loop:
            for line in sys.stdin:
                print(loop.run(store.read([borrower_key("simulated", line.strip())])) != [None], flush=True)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None

        def ask(borrower_id: str) -> str:
            reader.stdin.write(f"{borrower_id}\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        before = (ask("ann"), ask("019999"))
        many = [{"borrower_id": f"{number:06d}"} for number in range(20_000)]
        store.write("borrowers", borrowers(*many), snapshot=8)
        after = (ask("ann"), ask("019999"))
        reader.stdin.close()

    assert before == ("True", "False")
    assert after == ("False", "True")


def test_importing_the_reader_needs_neither_duckdb_nor_pyarrow_nor_redis() -> None:
    """The API's request path imports it."""
    program = "import sys, warehouse.online_store; print({'duckdb', 'pyarrow', 'pandas', 'redis'} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ.copy(), capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "set()"


def test_a_store_written_anew_is_what_open_readers_see(settings: Settings) -> None:
    with Opened(open_store(settings)) as reader:
        write_borrowers(reader, borrowers(ANN, BOB), snapshot=7)
        assert reader.borrower("ann") is not None

        write_anew(open_store(settings), borrowers({**BOB, "n_loans": 5}), snapshot=8)

        assert reader.borrower("ann") is None
        found = reader.borrower("bob")
        assert found is not None
        assert (found.values["n_loans"], found.snapshot) == (5, 8)
        assert write_borrowers(reader, borrowers(ANN), snapshot=9) == WriteResult(n_written=1, n_deleted=1)
