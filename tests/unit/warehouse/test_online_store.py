"""The online store mirrors the lake's rows, writes only what changed, and serves many readers while it is written."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from warehouse.errors import LakeError, OnlineStoreError
from warehouse.lake import writer
from warehouse.online_store import OnlineStore, WriteResult, refresh, write_borrowers, write_cohorts
from warehouse.settings import Settings

NOON = datetime(2026, 3, 1, 12, 0, 0, 5)
LATER = datetime(2026, 4, 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OnlineStore]:
    with OnlineStore.open(tmp_path / "online", read_only=False) as opened:
        yield opened


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


def test_a_borrower_is_found_with_values_time_and_snapshot(store: OnlineStore) -> None:
    write_borrowers(store, borrowers(ANN, BOB), snapshot=7)

    found = store.borrower("ann")

    assert found is not None
    assert found.values == {"n_loans": 2, "balance": 0.1 + 0.2}
    assert (found.as_of, found.snapshot) == (NOON, 7)


def test_an_unknown_borrower_is_none(store: OnlineStore) -> None:
    write_borrowers(store, borrowers(ANN), snapshot=7)

    assert store.borrower("an") is None


def test_every_type_of_value_comes_back_as_it_was(store: OnlineStore) -> None:
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


def test_only_changed_borrowers_are_written_and_vanished_ones_deleted(store: OnlineStore) -> None:
    cleo, dora = {"borrower_id": "cleo"}, {"borrower_id": "dora"}
    write_borrowers(store, borrowers(ANN, BOB, cleo), snapshot=7)

    result = write_borrowers(store, borrowers(ANN, {**BOB, "n_loans": 1}, dora), snapshot=8)

    assert result == WriteResult(n_written=2, n_unchanged=1, n_deleted=1)
    assert store.borrower("cleo") is None


def test_a_record_left_alone_is_as_recent_as_the_refresh_that_left_it(store: OnlineStore) -> None:
    """Else every record would have to be rewritten at each refresh, or look ever older."""
    write_borrowers(store, borrowers(ANN), snapshot=7)
    write_borrowers(store, borrowers(ANN, as_of=LATER), snapshot=9)

    found = store.borrower("ann")

    assert found is not None
    assert (found.as_of, found.snapshot) == (LATER, 9)
    assert store.freshness() == {"simulated": (LATER, 9)}


def test_minus_zero_is_another_value_than_zero(store: OnlineStore) -> None:
    """1 / -0.0 is another infinity: features are compared to the bit."""
    write_borrowers(store, borrowers(BOB), snapshot=7)

    assert write_borrowers(store, borrowers({**BOB, "balance": 0.0}), snapshot=8).n_written == 1


def test_an_empty_table_empties_the_store(store: OnlineStore) -> None:
    write_borrowers(store, borrowers(ANN, BOB), snapshot=7)

    assert write_borrowers(store, [], snapshot=8) == WriteResult(n_deleted=2)
    assert store.freshness() == {}


def test_another_set_of_columns_rewrites_the_records(store: OnlineStore) -> None:
    write_borrowers(store, borrowers(ANN), snapshot=7)
    keys = {"borrower_id": ["ann"], "source": ["simulated"], "as_of": pa.array([NOON], pa.timestamp("us"))}
    renamed = pa.table({**keys, "n_accounts": [2], "balance": [0.3]}).to_batches()

    write_borrowers(store, renamed, snapshot=8)

    found = store.borrower("ann")
    assert found is not None
    assert found.values == {"n_accounts": 2, "balance": 0.3}


def test_rows_out_of_order_are_refused(store: OnlineStore) -> None:
    with pytest.raises(OnlineStoreError, match=r"ordered by key, each once: found b'ann' after b'bob'"):
        write_borrowers(store, borrowers(BOB, ANN), snapshot=7)


def test_a_column_type_that_would_not_come_back_is_refused(store: OnlineStore) -> None:
    keys = {"borrower_id": ["ann"], "source": ["s"], "as_of": pa.array([NOON], pa.timestamp("us"))}
    table = pa.table({**keys, "total": pa.array([1], pa.decimal128(38, 0))})

    with pytest.raises(OnlineStoreError, match=r"column total: .* found decimal128\(38, 0\); cast it in the model"):
        write_borrowers(store, table.to_batches(), snapshot=7)


def test_cohorts_are_found_by_source_segment_and_value(store: OnlineStore) -> None:
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


def test_a_store_that_was_never_written_is_empty_until_it_is(tmp_path: Path) -> None:
    """The API starts before the first refresh."""
    path = tmp_path / "online"
    reader = OnlineStore.open(path)
    before = reader.borrower("ann")

    with OnlineStore.open(path, read_only=False) as store:
        write_borrowers(store, borrowers(ANN), snapshot=7)

    assert before is None
    assert reader.borrower("ann") is not None
    reader.close()


def test_the_map_grows_when_it_is_full(tmp_path: Path) -> None:
    many = [{"borrower_id": f"{number:06d}", "n_loans": number} for number in range(20_000)]
    with OnlineStore.open(tmp_path / "online", read_only=False, map_size=256 * 1024) as store:
        result = write_borrowers(store, borrowers(*many), snapshot=7)

        assert result.n_written == 20_000
        assert store.borrower("019999") is not None


def test_a_reader_in_another_process_sees_what_a_refresh_writes(tmp_path: Path) -> None:
    """Also when the writer has grown the map past the one the reader opened."""
    path = tmp_path / "online"
    with OnlineStore.open(path, read_only=False, map_size=256 * 1024) as store:
        write_borrowers(store, borrowers(ANN), snapshot=7)
        program = textwrap.dedent(
            """
            import sys
            from pathlib import Path
            from warehouse.online_store import OnlineStore
            store = OnlineStore.open(Path(sys.argv[1]), map_size=256 * 1024)
            for line in sys.stdin:
                print(store.borrower(line.strip()) is not None, flush=True)
            """
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as reader:
            assert reader.stdin is not None
            assert reader.stdout is not None

            def ask(borrower_id: str) -> str:
                reader.stdin.write(f"{borrower_id}\n")
                reader.stdin.flush()
                return reader.stdout.readline().strip()

            before = (ask("ann"), ask("019999"))
            many = [{"borrower_id": f"{number:06d}"} for number in range(20_000)]
            write_borrowers(store, borrowers(*many), snapshot=8)
            after = (ask("ann"), ask("019999"))
            reader.stdin.close()

    assert before == ("True", "False")
    assert after == ("False", "True")


def test_importing_the_reader_needs_neither_duckdb_nor_pyarrow() -> None:
    """The API's request path imports it."""
    program = "import sys, warehouse.online_store; print({'duckdb', 'pyarrow', 'pandas'} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ.copy(), capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "set()"


def test_a_refresh_copies_both_online_models_of_the_lake(home: Settings) -> None:
    with writer("a test", home) as con:
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

    first, second = refresh(home), refresh(home)

    assert (first.borrowers.n_written, first.cohorts.n_written) == (2, 1)
    assert second.borrowers == WriteResult(n_unchanged=2)
    with OnlineStore.open(home.online_store) as store:
        found = store.cohort("simulated", "all", "all")
        assert found is not None
        assert (found.values, found.as_of, found.snapshot) == ({"default_rate": 0.25}, LATER, first.snapshot)


def test_a_refresh_before_dbt_has_built_says_what_to_do(home: Settings) -> None:
    with writer("a test", home):
        pass

    with pytest.raises(LakeError, match=r"the lake has no features\.ftr_online_borrowers .* run `dbt build`"):
        refresh(home)
