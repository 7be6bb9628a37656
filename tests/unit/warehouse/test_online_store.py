"""The online store mirrors the lake's rows, writes only what changed, and serves many readers while it is written."""

import asyncio
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import redis

from warehouse.errors import LakeError, OnlineStoreError, OnlineStoreUnavailable, SettingError
from warehouse.lake import writer
from warehouse.online_store import (
    Freshness,
    OnlineStore,
    Record,
    RecordKey,
    WriteResult,
    borrower_key,
    cohort_key,
    open_store,
    refresh,
)
from warehouse.online_store.lmdb_store import LmdbStore
from warehouse.settings import Settings

NOON = datetime(2026, 3, 1, 12, 0, 0, 5)
LATER = datetime(2026, 4, 1)


@pytest.fixture(params=["lmdb", "redis"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """A home for each kind of store: every test that takes it, or ``store``, runs on both."""
    found: Settings = request.getfixturevalue("home" if request.param == "lmdb" else "redis_home")
    return found


@pytest.fixture
def store(settings: Settings) -> Iterator["Opened"]:
    with Opened(open_store(settings)) as opened:
        yield opened


class Opened:
    """A store whose coroutines run on one event loop, as the API's do."""

    def __init__(self, store: OnlineStore) -> None:
        self.store = store
        self._loop = asyncio.Runner()

    def borrower(self, borrower_id: str) -> Record | None:
        return self._loop.run(self.store.read([borrower_key(borrower_id)]))[0]

    def cohort(self, *parts: str) -> Record | None:
        return self._loop.run(self.store.read([cohort_key(*parts)]))[0]

    def read(self, *keys: RecordKey) -> list[Record | None]:
        return self._loop.run(self.store.read(keys))

    def freshness(self) -> Mapping[str, Freshness]:
        return self._loop.run(self.store.freshness())

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self.store.close())
        self._loop.close()


def write_borrowers(store: Opened, batches: list[pa.RecordBatch], *, snapshot: int) -> WriteResult:
    return store.store.write("borrowers", batches, snapshot=snapshot)


def write_cohorts(store: Opened, batches: list[pa.RecordBatch], *, snapshot: int) -> WriteResult:
    return store.store.write("cohorts", batches, snapshot=snapshot)


def borrowers(*rows: dict[str, Any], as_of: datetime = NOON, source: str = "simulated") -> list[pa.RecordBatch]:
    """One batch of borrowers ordered by id, each with the columns n_loans and balance."""
    names = ("borrower_id", "n_loans", "balance")
    columns = {name: [row.get(name) for row in rows] for name in names}
    columns |= {"source": [source for _ in rows], "as_of": [as_of for _ in rows]}
    schema = pa.schema(
        {"borrower_id": pa.string(), "n_loans": pa.int32(), "balance": pa.float64(), "source": pa.string()}
        | {"as_of": pa.timestamp("us")}
    )
    return pa.table(columns, schema=schema).to_batches()


ANN = {"borrower_id": "ann", "n_loans": 2, "balance": 0.1 + 0.2}
BOB = {"borrower_id": "bob", "n_loans": None, "balance": -0.0}


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
    keys = {"borrower_id": ["ann"], "source": ["s"], "as_of": pa.array([NOON], pa.timestamp("us"))}
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
    with pytest.raises(OnlineStoreError, match=r"ordered by key, each once: found b'ann' after b'bob'"):
        write_borrowers(store, borrowers(BOB, ANN), snapshot=7)


def test_a_column_type_that_would_not_come_back_is_refused(store: Opened) -> None:
    keys = {"borrower_id": ["ann"], "source": ["s"], "as_of": pa.array([NOON], pa.timestamp("us"))}
    table = pa.table({**keys, "total": pa.array([1], pa.decimal128(38, 0))})

    with pytest.raises(OnlineStoreError, match=r"column total: .* found decimal128\(38, 0\); cast it in the model"):
        write_borrowers(store, table.to_batches(), snapshot=7)


def test_cohorts_are_found_by_source_segment_and_value(store: Opened) -> None:
    table = pa.table(
        {
            "source": ["a", "a", "b"],
            "segment": ["purpose", "region", "purpose"],
            "segment_value": ["car", "north", "car"],
            "as_of": pa.array([NOON] * 3, pa.timestamp("us")),
            "default_rate": [0.1, 0.2, 0.3],
        }
    )

    write_cohorts(store, table.to_batches(), snapshot=7)

    found = store.cohort("b", "purpose", "car")
    assert found is not None
    assert found.values == {"default_rate": 0.3}
    assert store.cohort("b", "region", "north") is None


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

    found = store.read(borrower_key("bob"), cohort_key("simulated", "purpose", "car"), borrower_key("ann"))

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


def test_two_homes_on_one_server_never_meet(redis_home: Settings, tmp_path: Path) -> None:
    other = Settings.from_environment(
        {"LOANLAKE_HOME": str(tmp_path / "other" / "home"), "LOANLAKE_REDIS_URL": str(redis_home.redis_url)}
    )
    open_store(redis_home).write("borrowers", borrowers(ANN), snapshot=7)

    with Opened(open_store(other)) as store, pytest.raises(OnlineStoreUnavailable, match="is empty"):
        store.borrower("ann")


def test_a_redis_that_lost_its_data_is_not_taken_for_one_without_borrowers(redis_home: Settings) -> None:
    with Opened(open_store(redis_home)) as store:
        write_borrowers(store, borrowers(ANN), snapshot=7)
        assert store.borrower("ann") is not None

        with redis.Redis.from_url(str(redis_home.redis_url)) as client:
            client.delete(f"{redis_home.redis_prefix}:records")

        with pytest.raises(OnlineStoreUnavailable, match="is empty"):
            store.borrower("ann")


def test_a_refresh_that_lost_its_turn_changes_nothing(redis_home: Settings) -> None:
    """Prevents a refresh that hung from deleting what a later one has written."""
    client = redis.Redis.from_url(str(redis_home.redis_url))

    def batches() -> Iterator[pa.RecordBatch]:
        yield from borrowers(ANN)
        client.set(f"{redis_home.redis_prefix}:turn", "another")
        yield from borrowers(BOB)

    with Opened(open_store(redis_home)) as store:
        write_borrowers(store, borrowers({"borrower_id": "cleo"}), snapshot=6)
        with pytest.raises(OnlineStoreError, match=r"another refresh of the online store has taken .*:turn"):
            store.store.write("borrowers", batches(), snapshot=7)

        assert store.borrower("cleo") is not None
        assert store.borrower("ann") is None
    client.close()


def test_a_refresh_that_waits_too_long_for_its_turn_says_so(redis_home: Settings) -> None:
    impatient = replace(redis_home, lease_seconds=0.1)
    with redis.Redis.from_url(str(redis_home.redis_url)) as client:
        client.set(f"{redis_home.redis_prefix}:turn", "another")

        with pytest.raises(OnlineStoreError, match=r"another one has held .*:turn for 0\.1 s"):
            open_store(impatient).write("borrowers", borrowers(ANN), snapshot=7)


def test_a_redis_that_is_down_is_named_without_its_password(home: Settings) -> None:
    down = replace(home, redis_url="redis://someone:secret@127.0.0.1:1/0", redis_timeout_seconds=0.2)

    with Opened(open_store(down)) as store, pytest.raises(OnlineStoreUnavailable) as raised:
        store.borrower("ann")
    with pytest.raises(OnlineStoreUnavailable, match="does not answer"):
        open_store(down).write("borrowers", borrowers(ANN), snapshot=7)

    assert "redis://127.0.0.1:1" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_redis_that_is_slow_is_given_up_in_time(home: Settings) -> None:
    """A server that takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = replace(home, redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0", redis_timeout_seconds=0.1)
        started = time.monotonic()

        with Opened(open_store(slow)) as store, pytest.raises(OnlineStoreUnavailable, match=r"within 0\.1 s"):
            store.borrower("ann")

    assert time.monotonic() - started < 2


def test_redis_without_its_client_says_what_to_install(home: Settings) -> None:
    program = textwrap.dedent(
        """
        import sys
        sys.modules["redis"] = None  # as if it were not installed
        from warehouse.online_store import open_store
        from warehouse.settings import Settings
        open_store(Settings.from_environment({"LOANLAKE_REDIS_URL": "redis://127.0.0.1"}))
        """
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "SettingError: LOANLAKE_REDIS_URL is set, which needs the package redis" in done.stderr


def test_a_url_that_is_not_of_redis_is_refused() -> None:
    with pytest.raises(SettingError, match=r"must begin with redis://.* found 'http'"):
        Settings.from_environment({"LOANLAKE_REDIS_URL": "http://user:secret@127.0.0.1"})


def test_the_map_grows_when_it_is_full(tmp_path: Path) -> None:
    many = [{"borrower_id": f"{number:06d}", "n_loans": number} for number in range(20_000)]
    with Opened(LmdbStore(tmp_path / "online", map_size=256 * 1024)) as store:
        result = write_borrowers(store, borrowers(*many), snapshot=7)

        assert result.n_written == 20_000
        assert store.borrower("019999") is not None


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
                print(loop.run(store.read([borrower_key(line.strip())])) != [None], flush=True)
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


def test_a_refresh_copies_both_online_models_of_the_lake(settings: Settings) -> None:
    with writer("a test", settings) as con:
        con.execute(
            "create table features.ftr_online_borrowers as select * from (values "
            "('bob', 'simulated', timestamp '2026-04-01', 1), ('ann', 'simulated', timestamp '2026-04-01', 2)) "
            "as t(borrower_id, source, as_of, n_loans)"
        )
        con.execute(
            "create table features.ftr_online_cohorts as select * from (values "
            "('simulated', 'all', 'all', timestamp '2026-04-01', 0.25e0)) "
            "as t(source, segment, segment_value, as_of, default_rate)"
        )

    first, second = refresh(settings), refresh(settings)

    assert (first.borrowers.n_written, first.cohorts.n_written) == (2, 1)
    assert second.borrowers == WriteResult(n_unchanged=2)
    with Opened(open_store(settings)) as store:
        found = store.cohort("simulated", "all", "all")
        assert found is not None
        assert (found.values, found.as_of, found.snapshot) == ({"default_rate": 0.25}, LATER, first.snapshot)


def test_a_refresh_before_dbt_has_built_says_what_to_do(home: Settings) -> None:
    with writer("a test", home):
        pass

    with pytest.raises(LakeError, match=r"the lake has no features\.ftr_online_borrowers .* run `dbt build`"):
        refresh(home)
