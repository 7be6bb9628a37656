"""The online store in LMDB, a directory of the home: the default, which needs no server.

Each look-up is a read transaction: it sees the latest refresh and waits for no writer. LMDB keeps the bytes of deleted
records in free pages: to forget them the store is rewritten, and readers open the new one at their next look-up.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import lmdb
import msgspec

from warehouse.errors import OnlineStoreUnavailable
from warehouse.online_store.interface import WriteResult
from warehouse.online_store.lmdb_environment import MAP_SIZE, Environment, acquire, is_written, opened, release
from warehouse.online_store.lmdb_writing import only_writer, write_table
from warehouse.online_store.records import (
    Freshness,
    Layout,
    Record,
    RecordKey,
    TableName,
    decode_freshness,
    decode_record,
    layout_number,
    source_key,
)

if TYPE_CHECKING:
    import pyarrow as pa

_Found = TypeVar("_Found")
_MOST_COHORTS = 10_000


class LmdbStore:
    """The store in a directory; ``map_size``: the initial address space, enlarged when needed."""

    def __init__(self, path: Path, *, map_size: int = MAP_SIZE) -> None:
        self._path = path
        self._map_size = map_size
        self._layouts: dict[int, Layout] = {}
        self._environment: Environment | None = None
        self._is_complete = False
        # cohorts are few and used by every look-up: decoded once for each commit of a refresh
        self._cohorts: dict[RecordKey, Record | None] = {}
        self._cohorts_of_commit = -1

    @property
    def place(self) -> str:
        """The directory."""
        return str(self._path)

    async def read(self, keys: Sequence[RecordKey]) -> list[Record | None]:
        """See :class:`OnlineStore`; awaits nothing."""

        def read(txn: lmdb.Transaction, environment: Environment) -> list[Record | None]:
            if txn.id() != self._cohorts_of_commit:
                self._cohorts, self._cohorts_of_commit = {}, txn.id()
            return [
                self._record(txn, environment, key) if key.table == "borrowers" else self._cohort(txn, environment, key)
                for key in keys
            ]

        return self._read(read)

    async def freshness(self) -> dict[str, Freshness]:
        """See :class:`OnlineStore`; awaits nothing."""

        def read(txn: lmdb.Transaction, environment: Environment) -> dict[str, Freshness]:
            found = {}
            for key, value in txn.cursor(environment.tables["sources"]):
                table, _, source = bytes(key).decode().partition("\0")
                if table == "borrowers":
                    found[source] = decode_freshness(bytes(value))
            return found

        return self._read(read)

    def write(self, table: TableName, batches: Iterable["pa.RecordBatch"], *, snapshot: int) -> WriteResult:
        """See :class:`OnlineStore`; creates the directory if it is missing."""
        with opened(self._path, map_size=self._map_size) as environment:
            return write_table(environment, self._path, table, batches, snapshot)

    @contextmanager
    def anew(self) -> Iterator["LmdbStore"]:
        """See :class:`OnlineStore`: a store beside this one, renamed at the end."""
        draft, old = (self._path.with_name(f".{self._path.name}.{which}") for which in ("new", "old"))
        self._path.mkdir(parents=True, exist_ok=True)
        with only_writer(self._path):
            for left_over in (draft, old):
                shutil.rmtree(left_over, ignore_errors=True)
            yield LmdbStore(draft, map_size=self._map_size)
            self._path.rename(old)
            draft.rename(self._path)
            shutil.rmtree(old)

    async def close(self) -> None:
        """Release the map."""
        self._release()

    def _release(self) -> None:
        if self._environment is not None:
            release(self._environment)
        self._environment, self._layouts, self._is_complete = None, {}, False
        self._cohorts_of_commit = -1

    def _cohort(self, txn: lmdb.Transaction, environment: Environment, key: RecordKey) -> Record | None:
        if key not in self._cohorts:
            if len(self._cohorts) >= _MOST_COHORTS:  # includes values that callers invent
                self._cohorts.clear()
            self._cohorts[key] = self._record(txn, environment, key)
        return self._cohorts[key]

    def _record(self, txn: lmdb.Transaction, environment: Environment, key: RecordKey) -> Record | None:
        found = txn.get(key.key, db=environment.tables[key.table])
        if found is None:
            return None
        stored = bytes(found)
        number = layout_number(stored)
        layout = self._layouts.get(number) or self._layout(txn, environment, number)
        return decode_record(stored, layout, partial(_freshness, txn, environment, key.table))

    def _layout(self, txn: lmdb.Transaction, environment: Environment, number: int) -> Layout:
        stored = txn.get(b"%d" % number, db=environment.tables["layouts"])
        if stored is None:
            raise OnlineStoreUnavailable(
                f"the online store at {self.place} lacks its layout {number}: remove it and refresh"
            )
        layout = self._layouts[number] = msgspec.msgpack.decode(bytes(stored), type=Layout)
        return layout

    def _read(self, read: Callable[[lmdb.Transaction, Environment], _Found]) -> _Found:
        try:
            if self._environment is not None and self._environment.is_replaced():
                self._release()
            if self._environment is None:
                if not is_written(self._path):
                    raise self._incomplete()
                self._environment = acquire(self._path, create=False, map_size=self._map_size)
            with self._environment.begin() as txn:
                # once complete it stays so; before, a borrower may be missing only because the pass is still running
                if not self._is_complete and not txn.cursor(self._environment.tables["sources"]).first():
                    raise self._incomplete()
                self._is_complete = True
                return read(txn, self._environment)
        except lmdb.NotFoundError:  # its first writer is creating it
            raise self._incomplete() from None
        except lmdb.Error as error:
            raise OnlineStoreUnavailable(f"the online store at {self.place} cannot be read: {error}") from error

    def _incomplete(self) -> OnlineStoreUnavailable:
        return OnlineStoreUnavailable(f"the online store at {self.place} is not there yet: `loanlake run` builds it")


def _freshness(txn: lmdb.Transaction, environment: Environment, table: TableName, source: str) -> Freshness | None:
    stored = txn.get(source_key(table, source), db=environment.tables["sources"])
    return None if stored is None else decode_freshness(bytes(stored))
