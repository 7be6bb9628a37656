"""Look-ups in the online store, each in a read transaction of its own: the next one sees what a refresh has written."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import lmdb

from warehouse.errors import OnlineStoreError
from warehouse.online_store.environment import MAP_SIZE, Environment, acquire, is_written, release
from warehouse.online_store.records import (
    Freshness,
    Layout,
    Record,
    borrower_key,
    cohort_key,
    decode_record,
    restore_times,
    to_datetime,
)

_Found = TypeVar("_Found")


class OnlineStore:
    """The store in a directory. Where none has been written yet it is empty, until one is.

    Readers may be many, in any number of processes and threads; no look-up waits for a writer.
    """

    def __init__(self, path: Path, *, read_only: bool, map_size: int) -> None:
        self.path = path
        self._map_size = map_size
        self._layouts: dict[int, Layout] = {}
        self._environment: Environment | None = None
        if not read_only:
            self._environment = acquire(path, create=True, map_size=map_size)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = True, map_size: int = MAP_SIZE) -> "OnlineStore":
        """Open the store at ``path``; only a writer creates it."""
        return cls(path, read_only=read_only, map_size=map_size)

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether anything has been written there."""
        return is_written(path)

    def borrower(self, borrower_id: str) -> Record | None:
        """History of a borrower; None where the store knows nothing of them."""
        return self._record("borrowers", borrower_key(borrower_id))

    def cohort(self, source: str, segment: str, value: str) -> Record | None:
        """Figures of a cohort, such as ('simulated', 'purpose', 'car'); None for one without a past."""
        return self._record("cohorts", cohort_key(source, segment, value))

    def freshness(self) -> dict[str, tuple[datetime, int]]:
        """Source → as_of and lake snapshot of its borrowers, as of the last complete refresh."""

        def read(txn: lmdb.Transaction, environment: Environment) -> dict[str, tuple[datetime, int]]:
            found = {}
            for key, value in txn.cursor(environment.tables["sources"]):
                table, _, source = bytes(key).decode().partition("\0")
                if table == "borrowers":
                    fresh = Freshness.from_bytes(bytes(value))
                    found[source] = (to_datetime(fresh.as_of), fresh.snapshot)
            return found

        return self._read(read) or {}

    def close(self) -> None:
        """Release the map; look-ups must have ended."""
        if self._environment is not None:
            self._environment = None
            release(self.path)

    def __enter__(self) -> "OnlineStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def environment(self) -> Environment:
        """LMDB's environment, for the writer."""
        if self._environment is None:
            raise OnlineStoreError(f"the online store at {self.path} is not open for writing")
        return self._environment

    def _record(self, table: str, key: bytes) -> Record | None:
        def read(txn: lmdb.Transaction, environment: Environment) -> Record | None:
            stored = txn.get(key, db=environment.tables[table])
            if stored is None:
                return None
            number, as_of, snapshot, source, values = decode_record(bytes(stored))
            layout = self._layouts.get(number) or self._layout(txn, environment, number)
            if layout.dates or layout.timestamps:
                restore_times(values, layout)
            fresh = txn.get(f"{table}\0{source}".encode(), db=environment.tables["sources"])
            if fresh is not None:
                # a record that a refresh left alone is as recent as that refresh, which would have rewritten it
                whole = Freshness.from_bytes(bytes(fresh))
                as_of, snapshot = max(as_of, whole.as_of), max(snapshot, whole.snapshot)
            return Record(dict(zip(layout.columns, values, strict=True)), to_datetime(as_of), snapshot)

        return self._read(read)

    def _layout(self, txn: lmdb.Transaction, environment: Environment, number: int) -> Layout:
        stored = txn.get(b"%d" % number, db=environment.tables["layouts"])
        if stored is None:
            raise OnlineStoreError(f"the online store at {self.path} lacks its layout {number}: remove it and refresh")
        layout = self._layouts[number] = Layout.from_bytes(bytes(stored))
        return layout

    def _read(self, read: Callable[[lmdb.Transaction, Environment], _Found]) -> _Found | None:
        if self._environment is None:
            if not is_written(self.path):
                return None
            try:
                self._environment = acquire(self.path, create=False, map_size=self._map_size)
            except lmdb.NotFoundError:  # its first writer is just making it
                return None
        with self._environment.begin() as txn:
            return read(txn, self._environment)
