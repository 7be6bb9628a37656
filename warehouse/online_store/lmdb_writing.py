"""Bring a table of the online store in line with rows in key order, some thousand rows a transaction."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import lmdb

from warehouse.errors import OnlineStoreError
from warehouse.files.turns import file_turn
from warehouse.online_store.interface import WriteResult
from warehouse.online_store.lmdb_environment import Environment
from warehouse.online_store.records import Layout, TableName, encode, encode_record, is_same, source_key
from warehouse.online_store.rows import InOrder, Pass, Row, read_rows

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_A_COMMIT = 20_000
#: A key of the table of sources that is not a source: a pass has ended.
_COMPLETE = b"complete"


def write_table(
    environment: Environment, path: Path, table: TableName, batches: Iterable["pa.RecordBatch"], snapshot: int
) -> WriteResult:
    """:meth:`OnlineStore.write` for the environment of the directory ``path``."""
    with only_writer(path):
        if environment.is_replaced():
            raise OnlineStoreError(f"the online store at {path} was rewritten while this refresh waited: run it again")
        this, position = Pass(table, snapshot), b""
        for layout, rows in read_rows(table, batches, at_once=_ROWS_A_COMMIT):
            number = _layout_number(environment, layout)
            this = _commit(environment, partial(_merge, environment, this, position, layout=number, rows=rows))
            position = rows[-1].key
        return _commit(environment, partial(_finish, environment, this, position)).result


def only_writer(path: Path) -> AbstractContextManager[None]:
    """One pass at a time over a directory's store: two would each delete the other's records."""
    return file_turn(path / "writer.lock")


def _layout_number(environment: Environment, layout: Layout) -> int:
    with environment.begin(write=True) as txn:
        known = {bytes(value): int(bytes(key)) for key, value in txn.cursor(environment.tables["layouts"])}
        data = encode(layout)
        if data not in known:
            known[data] = max(known.values(), default=0) + 1
            txn.put(b"%d" % known[data], data, db=environment.tables["layouts"])
        return known[data]


def _merge(
    environment: Environment, before: Pass, position: bytes, txn: lmdb.Transaction, *, layout: int, rows: list[Row]
) -> Pass:
    """The pass advanced past these rows; ``before`` is unchanged, so that a commit can be retried."""
    done, table = before.copy(), environment.tables[before.table]
    stored = InOrder(_behind(position, txn.cursor(table)))
    for row in rows:
        for key, _ in stored.before(row.key):
            txn.delete(key, db=table)
            done.result.n_deleted += 1
        found = stored.at(row.key)
        is_written = found is None or not is_same(found, layout, row.body)
        if is_written:
            txn.put(row.key, encode_record(layout, row.as_of, done.snapshot, row.body), db=table)
        done.count(row, is_written=is_written)
    return done


def _finish(environment: Environment, before: Pass, position: bytes, txn: lmdb.Transaction) -> Pass:
    """Delete what follows the last row, then store the freshness of each source."""
    done, table, sources = before.copy(), environment.tables[before.table], environment.tables["sources"]
    for key, _ in InOrder(_behind(position, txn.cursor(table))).before(None):
        txn.delete(key, db=table)
        done.result.n_deleted += 1
    fresh = done.freshness()
    for key in [bytes(key) for key, _ in txn.cursor(sources)]:
        if key.startswith(source_key(done.table, "")) and key not in fresh:
            txn.delete(key, db=sources)
    for key, value in fresh.items():
        txn.put(key, encode(value), db=sources)
    txn.put(_COMPLETE, b"", db=sources)
    return done


def _behind(position: bytes, cursor: lmdb.Cursor) -> Iterator[tuple[bytes, bytes]]:
    is_there = cursor.set_range(position)
    if is_there and bytes(cursor.key()) == position:
        is_there = cursor.next()
    while is_there:
        yield bytes(cursor.key()), bytes(cursor.value())
        is_there = cursor.next()


def _commit(environment: Environment, write: Callable[[lmdb.Transaction], Pass]) -> Pass:
    while True:
        try:
            with environment.begin(write=True) as txn:
                done = write(txn)
        except lmdb.MapFullError:
            # the transaction was rolled back
            environment.handle.set_mapsize(2 * environment.handle.info()["map_size"])
        else:
            return done
