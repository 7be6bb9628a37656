"""Bring a table of the online store in line with a stream of rows: write what changed, delete what is gone.

Rows come ordered by key, as LMDB keeps its own, so the two are merged in one pass over both: memory stays at one batch
whatever the size, and a run that changes nothing writes nothing.
"""

import fcntl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import lmdb

from warehouse.errors import OnlineStoreError
from warehouse.online_store.records import (
    Freshness,
    Layout,
    borrower_key,
    cohort_key,
    encode_body,
    encode_record,
    is_same,
    to_microseconds,
)
from warehouse.online_store.store import OnlineStore

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_A_COMMIT = 20_000


@dataclass
class WriteResult:
    """What a pass over one table did, in records."""

    n_written: int = 0
    n_unchanged: int = 0
    n_deleted: int = 0


@dataclass
class _Pass:
    """One pass: the place reached in the table, and the clocks of the sources seen."""

    layout: int
    snapshot: int
    position: bytes = b""
    clocks: dict[str, int] = field(default_factory=dict)
    result: WriteResult = field(default_factory=WriteResult)

    def copy(self) -> "_Pass":
        """A pass that can go on without changing this one."""
        return replace(self, clocks=dict(self.clocks), result=replace(self.result))


@dataclass(frozen=True)
class _Table:
    name: str
    key_columns: tuple[str, ...]
    key: Callable[..., bytes]


_BORROWERS = _Table("borrowers", ("borrower_id",), borrower_key)
_COHORTS = _Table("cohorts", ("source", "segment", "segment_value"), cohort_key)
_Row = tuple[bytes, str, int, bytes]  # key, source, as_of, body


def write_borrowers(store: OnlineStore, batches: Iterable["pa.RecordBatch"], *, snapshot: int) -> WriteResult:
    """Make the borrowers of the store those of ``batches``, which are ordered by borrower_id.

    Columns: borrower_id, source, as_of and values. ``snapshot`` is the lake snapshot they were read from. Borrowers
    that are not among them are deleted. Raises OnlineStoreError for rows out of order and for types it cannot hold.
    """
    return _write(store, _BORROWERS, batches, snapshot)


def write_cohorts(store: OnlineStore, batches: Iterable["pa.RecordBatch"], *, snapshot: int) -> WriteResult:
    """The same for cohorts, whose rows have source, segment, segment_value (their order), as_of and values."""
    return _write(store, _COHORTS, batches, snapshot)


def _write(store: OnlineStore, table: _Table, batches: Iterable["pa.RecordBatch"], snapshot: int) -> WriteResult:
    with _only_writer(store):
        this: _Pass | None = None
        for batch in batches:
            names = [name for name in batch.schema.names if name not in {*table.key_columns, "source", "as_of"}]
            if this is None:
                this = _Pass(_layout_number(store, _layout(batch.schema, names)), snapshot)
            for start in range(0, batch.num_rows, _ROWS_A_COMMIT):
                rows = _rows(batch.slice(start, _ROWS_A_COMMIT).to_pydict(), table, names)
                this = _commit(store, partial(_merge, store=store, table=table.name, before=this, rows=rows))
        return _commit(store, partial(_finish, store=store, table=table.name, before=this or _Pass(0, snapshot))).result


@contextmanager
def _only_writer(store: OnlineStore) -> Iterator[None]:
    """Two passes at once would each delete what the other has just written."""
    with (store.path / "writer.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _layout(schema: "pa.Schema", names: Sequence[str]) -> Layout:
    import pyarrow as pa

    dates, timestamps = [], []
    for index, name in enumerate(names):
        found = schema.field(name).type
        if pa.types.is_date(found):
            dates.append(index)
        elif pa.types.is_timestamp(found) and found.tz is None:
            timestamps.append(index)
        elif not any(
            is_type(found)
            for is_type in (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_string)
        ):
            raise OnlineStoreError(
                f"column {name}: the online store holds whole numbers, doubles, booleans, text, dates and timestamps: "
                f"found {found}; cast it in the model"
            )
    return Layout(tuple(names), tuple(dates), tuple(timestamps))


def _layout_number(store: OnlineStore, layout: Layout) -> int:
    with store.environment.begin(write=True) as txn:
        known = {bytes(value): int(bytes(key)) for key, value in txn.cursor(store.environment.tables["layouts"])}
        data = layout.to_bytes()
        if data not in known:
            known[data] = max(known.values(), default=0) + 1
            txn.put(b"%d" % known[data], data, db=store.environment.tables["layouts"])
        return known[data]


def _rows(columns: dict[str, list[Any]], table: _Table, names: list[str]) -> list[_Row]:
    keys = map(table.key, *(columns[name] for name in table.key_columns))
    values = zip(*(columns[name] for name in names), strict=True) if names else (() for _ in columns["source"])
    return [
        (key, source, to_microseconds(as_of), encode_body(source, row))
        for key, source, as_of, row in zip(keys, columns["source"], columns["as_of"], values, strict=True)
    ]


def _merge(txn: lmdb.Transaction, *, store: OnlineStore, table: str, before: _Pass, rows: list[_Row]) -> _Pass:
    """The pass advanced past these rows; ``before`` stays as it is, so that a commit can be tried again."""
    done = before.copy()
    cursor = txn.cursor(store.environment.tables[table])
    _after(cursor, done.position)
    for key, source, as_of, body in rows:
        if key <= done.position:
            raise OnlineStoreError(
                f"{table} must come ordered by key, each once: found {key!r} after {done.position!r}"
            )
        stored = _delete_until(cursor, key, done.result)
        if stored is not None and is_same(stored, done.layout, body):
            done.result.n_unchanged += 1
            cursor.next()
        else:
            cursor.put(key, encode_record(done.layout, as_of, done.snapshot, body))
            done.result.n_written += 1
            cursor.next()
        # the least recent row counts: a source is as fresh as its stalest borrower
        done.clocks[source] = min(as_of, done.clocks.get(source, as_of))
        done.position = key
    return done


def _finish(txn: lmdb.Transaction, *, store: OnlineStore, table: str, before: _Pass) -> _Pass:
    """Delete what lies behind the last row, then say how fresh each source is."""
    done = before.copy()
    cursor = txn.cursor(store.environment.tables[table])
    _after(cursor, done.position)
    _delete_until(cursor, None, done.result)
    fresh = {f"{table}\0{source}".encode(): Freshness(as_of, done.snapshot) for source, as_of in done.clocks.items()}
    for key in [bytes(key) for key, _ in txn.cursor(store.environment.tables["sources"])]:
        if key.startswith(f"{table}\0".encode()) and key not in fresh:
            txn.delete(key, db=store.environment.tables["sources"])
    for key, value in fresh.items():
        txn.put(key, value.to_bytes(), db=store.environment.tables["sources"])
    return done


def _after(cursor: lmdb.Cursor, position: bytes) -> None:
    """Put the cursor on the first record behind ``position``."""
    if cursor.set_range(position) and bytes(cursor.key()) == position:
        cursor.next()


def _delete_until(cursor: lmdb.Cursor, key: bytes | None, result: WriteResult) -> bytes | None:
    """Delete records before ``key`` (all, for None); the record at ``key``, on which the cursor then stands, if any."""
    while here := bytes(cursor.key()):
        if key is not None and here >= key:
            return bytes(cursor.value()) if here == key else None
        cursor.delete()
        result.n_deleted += 1
    return None


def _commit(store: OnlineStore, write: Callable[[lmdb.Transaction], _Pass]) -> _Pass:
    while True:
        try:
            with store.environment.begin(write=True) as txn:
                done = write(txn)
        except lmdb.MapFullError:
            # the transaction is undone: nothing of it was written
            store.environment.handle.set_mapsize(2 * store.environment.handle.info()["map_size"])
        else:
            return done
