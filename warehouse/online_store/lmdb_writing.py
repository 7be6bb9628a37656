"""Bring a table of the online store in line with a stream of rows: write changes, delete missing records.

Rows come ordered by key, as LMDB keeps its own, so the two are merged in one pass over both: memory stays at one batch
whatever the size, and a run that changes nothing writes nothing.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import lmdb

from warehouse.errors import OnlineStoreError
from warehouse.files.turns import file_turn
from warehouse.online_store.interface import WriteResult
from warehouse.online_store.lmdb_environment import Environment
from warehouse.online_store.records import (
    Freshness,
    Layout,
    TableName,
    encode_record,
    is_same,
    source_key,
    to_datetime,
)
from warehouse.online_store.rows import Row, read_rows

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_A_COMMIT = 20_000
#: A key of the table of sources that is no source's: some pass has ended.
_COMPLETE = b"complete"


@dataclass
class _Pass:
    """One pass: the place reached in the table, and the clocks of the sources seen."""

    table: TableName
    snapshot: int
    position: bytes = b""
    clocks: dict[str, int] = field(default_factory=dict)
    result: WriteResult = field(default_factory=WriteResult)

    def copy(self) -> "_Pass":
        """A pass that can go on without changing this one."""
        return replace(self, clocks=dict(self.clocks), result=replace(self.result))


def write_table(
    environment: Environment, path: Path, table: TableName, batches: Iterable["pa.RecordBatch"], snapshot: int
) -> WriteResult:
    """What :meth:`OnlineStore.write` promises, for the environment of the directory ``path``."""
    with only_writer(path):
        if environment.is_replaced():
            raise OnlineStoreError(f"the online store at {path} was rewritten while this refresh waited: run it again")
        this = _Pass(table, snapshot)
        for layout, rows in read_rows(table, batches, at_once=_ROWS_A_COMMIT):
            number = _layout_number(environment, layout)
            this = _commit(environment, partial(_merge, environment=environment, before=this, layout=number, rows=rows))
        return _commit(environment, partial(_finish, environment=environment, before=this)).result


def only_writer(path: Path) -> AbstractContextManager[None]:
    """One pass at a time over a directory's store: two would each delete what the other has just written."""
    return file_turn(path / "writer.lock")


def _layout_number(environment: Environment, layout: Layout) -> int:
    with environment.begin(write=True) as txn:
        known = {bytes(value): int(bytes(key)) for key, value in txn.cursor(environment.tables["layouts"])}
        data = layout.to_bytes()
        if data not in known:
            known[data] = max(known.values(), default=0) + 1
            txn.put(b"%d" % known[data], data, db=environment.tables["layouts"])
        return known[data]


def _merge(txn: lmdb.Transaction, *, environment: Environment, before: _Pass, layout: int, rows: list[Row]) -> _Pass:
    """The pass advanced past these rows; ``before`` stays as it is, so that a commit can be tried again."""
    done = before.copy()
    cursor = txn.cursor(environment.tables[done.table])
    _after(cursor, done.position)
    for key, source, as_of, body in rows:
        stored = _delete_until(cursor, key, done.result)
        if stored is not None and is_same(stored, layout, body):
            done.result.n_unchanged += 1
            cursor.next()
        else:
            cursor.put(key, encode_record(layout, as_of, done.snapshot, body))
            done.result.n_written += 1
            cursor.next()
        # the least recent row counts: a source is as fresh as its stalest borrower
        done.clocks[source] = min(as_of, done.clocks.get(source, as_of))
        done.position = key
    return done


def _finish(txn: lmdb.Transaction, *, environment: Environment, before: _Pass) -> _Pass:
    """Delete what lies behind the last row, then say how fresh each source is."""
    done, sources = before.copy(), environment.tables["sources"]
    cursor = txn.cursor(environment.tables[done.table])
    _after(cursor, done.position)
    _delete_until(cursor, None, done.result)
    fresh = {
        source_key(done.table, source): Freshness(to_datetime(as_of), done.snapshot)
        for source, as_of in done.clocks.items()
    }
    for key in [bytes(key) for key, _ in txn.cursor(sources)]:
        if key.startswith(source_key(done.table, "")) and key not in fresh:
            txn.delete(key, db=sources)
    for key, value in fresh.items():
        txn.put(key, value.to_bytes(), db=sources)
    txn.put(_COMPLETE, b"", db=sources)
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


def _commit(environment: Environment, write: Callable[[lmdb.Transaction], _Pass]) -> _Pass:
    while True:
        try:
            with environment.begin(write=True) as txn:
                done = write(txn)
        except lmdb.MapFullError:
            # the transaction is undone: nothing of it was written
            environment.handle.set_mapsize(2 * environment.handle.info()["map_size"])
        else:
            return done
