"""An online store with its event loop, and rows to put in it."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from warehouse.online_store import Freshness, OnlineStore, Record, RecordKey, WriteResult, borrower_key, cohort_key

NOON = datetime(2026, 3, 1, 12, 0, 0, 5)
LATER = datetime(2026, 4, 1)


class Opened:
    """A store whose coroutines run on one event loop, as the API's do."""

    def __init__(self, store: OnlineStore) -> None:
        self.store = store
        self._loop = asyncio.Runner()

    def borrower(self, borrower_id: str, source: str = "simulated") -> Record | None:
        return self._loop.run(self.store.read([borrower_key(source, borrower_id)]))[0]

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


def write_anew(store: OnlineStore, batches: list[pa.RecordBatch], *, snapshot: int) -> None:
    with store.anew() as target:
        target.write("borrowers", batches, snapshot=snapshot)


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
