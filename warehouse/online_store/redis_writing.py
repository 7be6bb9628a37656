"""Bring a table of the Redis store in line with a stream of rows: write changes, delete missing records.

``<prefix>:<table>`` is a sorted set with members of score 0: a record's key and the digest of its content. Rows have
the same order; the two are merged, so only keys and digests are read back, some thousand at a time. Records and set
change together, some thousand rows a transaction; the freshness of sources is stored when the pass ends.
"""

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
from redis.exceptions import LockError, WatchError

from warehouse.errors import OnlineStoreError
from warehouse.online_store.interface import WriteResult
from warehouse.online_store.records import Layout, TableName, encode, encode_record, source_key
from warehouse.online_store.redis_records import META, Meta, record_field
from warehouse.online_store.rows import InOrder, Pass, Row, read_rows

if TYPE_CHECKING:
    import pyarrow as pa
    import redis

#: Rows per transaction, which blocks all other Redis clients for 2 to 10 ms.
_ROWS_A_COMMIT = 2_000
_INDEX_PAGE = 10_000
_DIGEST_BYTES = 8
#: A dead refresh loses its turn after this time; a live one renews it with each transaction.
_TURN_EXPIRES_SECONDS = 120
_POLL_SECONDS = 0.2


@dataclass
class _Changes:
    put: dict[bytes, bytes] = field(default_factory=dict)
    index: list[bytes] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    gone_index: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.index) + len(self.gone_index)


def write_table(
    client: "redis.Redis",
    prefix: str,
    table: TableName,
    batches: Iterable["pa.RecordBatch"],
    snapshot: int,
    *,
    turn_seconds: float,
) -> WriteResult:
    """:meth:`OnlineStore.write` for Redis."""
    batched = read_rows(table, batches, at_once=_ROWS_A_COMMIT)
    first = next(batched, None)  # before the turn begins: the lake's sort may take longer than a turn lasts
    with _turn(client, prefix, turn_seconds) as turn:
        this = _Writing(Pass(table, snapshot), turn, InOrder(_members(client, f"{prefix}:{table}")))
        for layout, rows in chain([first] if first else [], batched):
            turn.keep()
            number = turn.layout_number(layout)
            for row in rows:
                this.merge(row, number)
        this.finish()
    return this.done.result


@dataclass
class _Writing:
    done: Pass
    turn: "_Turn"
    stored: InOrder[bytes]
    changes: _Changes = field(default_factory=_Changes)

    def merge(self, row: Row, layout: int) -> None:
        self._forget_before(row.key)
        before, now = self.stored.at(row.key), _member(row.key, layout, row.body)
        if before != now:
            if before is not None:
                self.changes.gone_index.append(before)
            self.changes.index.append(now)
            record = encode_record(layout, row.as_of, self.done.snapshot, row.body)
            self.changes.put[record_field(self.done.table, row.key)] = record
            self._commit_if_full()
        self.done.count(row, is_written=before != now)

    def finish(self) -> None:
        self._forget_before(None)
        meta, of_table = self.turn.read_meta(), source_key(self.done.table, "")
        others = {key: fresh for key, fresh in meta.sources.items() if not key.startswith(of_table)}
        meta.sources = others | self.done.freshness()
        meta.is_complete = True
        self.turn.commit(self.done.table, self.changes, meta)

    def _forget_before(self, key: bytes | None) -> None:
        for gone, member in self.stored.before(key):
            self.changes.gone_index.append(member)
            self.changes.gone.append(record_field(self.done.table, gone))
            self.done.result.n_deleted += 1
            self._commit_if_full()

    def _commit_if_full(self) -> None:
        if len(self.changes) >= _ROWS_A_COMMIT:
            self.turn.commit(self.done.table, self.changes)
            self.changes = _Changes()


def _member(key: bytes, layout: int, body: bytes) -> bytes:
    # the NUL keeps the order of keys: without it a digest could sort after a longer key's next character
    return key + b"\0" + blake2b(body, digest_size=_DIGEST_BYTES, salt=b"%d" % layout).digest()


def _members(client: Any, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Keys and members of a sorted set in order, read page by page ahead of the pass's writes."""
    start = b"-"
    while page := client.zrange(name, start, b"+", bylex=True, offset=0, num=_INDEX_PAGE):
        yield from ((member[: -_DIGEST_BYTES - 1], member) for member in page)
        start = b"(" + page[-1]


@dataclass
class _Turn:
    """The right to pass over a home's records, one holder at a time; after losing it, transactions change nothing."""

    client: Any
    prefix: str
    token: bytes
    _renewed_at: float = field(default_factory=time.monotonic)
    _layout: tuple[Layout, int] | None = None

    @property
    def lock(self) -> str:
        """The key that holds the token of the holder."""
        return f"{self.prefix}:turn"

    def read_meta(self) -> Meta:
        stored = self.client.hget(f"{self.prefix}:records", META)
        return Meta() if stored is None else msgspec.msgpack.decode(stored, type=Meta)

    def layout_number(self, layout: Layout) -> int:
        if self._layout is not None and self._layout[0] == layout:
            return self._layout[1]
        meta = self.read_meta()
        number = next((number for number, known in meta.layouts.items() if known == layout), None)
        if number is None:
            number = max(meta.layouts, default=0) + 1
            meta.layouts[number] = layout
            self.commit("borrowers", _Changes(), meta)
        self._layout = (layout, number)
        return number

    def keep(self) -> None:
        """Renew the turn if due: a pass without changes commits nothing else."""
        if time.monotonic() - self._renewed_at > _TURN_EXPIRES_SECONDS / 4:
            self.commit("borrowers", _Changes())

    def commit(self, table: TableName, changes: _Changes, meta: Meta | None = None) -> None:
        """Commit all changes, or raise OnlineStoreError and change nothing if the turn was lost."""
        records, index = f"{self.prefix}:records", f"{self.prefix}:{table}"
        with self.client.pipeline(transaction=True) as pipe:
            pipe.watch(self.lock)
            if pipe.get(self.lock) != self.token:
                raise self._lost()
            pipe.multi()
            if changes.gone_index:
                pipe.zrem(index, *changes.gone_index)
            if changes.gone:
                pipe.hdel(records, *changes.gone)
            if changes.index:
                pipe.zadd(index, dict.fromkeys(changes.index, 0))
            if changes.put:
                pipe.hset(records, mapping=changes.put)
            if meta is not None:
                pipe.hset(records, META, encode(meta))
            pipe.expire(self.lock, _TURN_EXPIRES_SECONDS)
            try:
                pipe.execute()
            except WatchError:
                raise self._lost() from None
        self._renewed_at = time.monotonic()

    def _lost(self) -> OnlineStoreError:
        return OnlineStoreError(
            f"another refresh of the online store has taken {self.lock}, which this one did not renew for "
            f"{_TURN_EXPIRES_SECONDS} s: run it again"
        )


@contextmanager
def _turn(client: "redis.Redis", prefix: str, seconds: float) -> Iterator[_Turn]:
    """Wait for the previous pass to end; raises OnlineStoreError if it does not."""
    turn = _Turn(client, prefix, uuid.uuid4().hex.encode())
    lock = client.lock(turn.lock, timeout=_TURN_EXPIRES_SECONDS, sleep=_POLL_SECONDS, blocking_timeout=seconds)
    if not lock.acquire(token=turn.token):
        raise OnlineStoreError(
            f"one refresh of the online store at a time: another one has held {turn.lock} for {seconds:g} s "
            "(LOANLAKE_LEASE_SECONDS); wait for it to end"
        )
    try:
        yield turn
    finally:
        with suppress(LockError):  # the turn was lost
            lock.release()
