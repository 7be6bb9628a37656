"""Keys and records of the online store as bytes.

A record is a fixed header and a MessagePack array of the source and the values, ordered by a *layout*: column names
stored once. A record of thirty columns takes about 300 bytes instead of 900; equal bytes mean that nothing changed.
"""

import struct
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from warehouse.errors import OnlineStoreError

TableName = Literal["borrowers", "cohorts"]

#: LMDB takes keys up to 511 bytes.
MOST_KEY_BYTES = 500
_HEADER = struct.Struct("<Iqq")  # layout, as_of in microseconds since 1970, lake snapshot
_EPOCH = datetime(1970, 1, 1)
_DECODER = msgspec.msgpack.Decoder()

encode = msgspec.msgpack.Encoder().encode


class RecordKey(NamedTuple):
    """Key of a record: created by :func:`borrower_key` and :func:`cohort_key`."""

    table: TableName
    key: bytes


class Record(msgspec.Struct, frozen=True):
    """The stored values of one borrower or cohort.

    ``values``: column → value (int, float, bool, str, date, datetime or None). ``as_of``: they include everything known
    before that time (naive UTC). ``snapshot``: the lake snapshot with the same values.
    """

    values: dict[str, Any]
    as_of: datetime
    snapshot: int


class Layout(msgspec.Struct, frozen=True, array_like=True):
    """The columns of records, in order, and which are dates and timestamps (MessagePack has neither)."""

    columns: tuple[str, ...]
    dates: tuple[int, ...] = ()
    timestamps: tuple[int, ...] = ()


class Freshness(msgspec.Struct, frozen=True, array_like=True):
    """The state of a source's whole table in the store; ``as_of`` in naive UTC."""

    as_of: datetime
    snapshot: int


@lru_cache(maxsize=256)
def decode_freshness(data: bytes) -> Freshness:
    """The inverse of :data:`encode`; cached, since each look-up calls it."""
    return msgspec.msgpack.decode(data, type=Freshness)


@lru_cache(maxsize=256)
def source_key(table: TableName, source: str) -> bytes:
    """The key of a source's freshness."""
    return f"{table}\0{source}".encode()


def borrower_key(borrower_id: str) -> RecordKey:
    """The key of a borrower's history; sorts as the text does in DuckDB."""
    return RecordKey("borrowers", _key("borrower_id", (borrower_id,)))


@lru_cache(maxsize=4096)
def cohort_key(source: str, segment: str, value: str) -> RecordKey:
    """The key of a cohort, such as ('simulated', 'purpose', 'car'); sorts as the three columns do in DuckDB."""
    return RecordKey("cohorts", _key("cohort", (source, segment, value)))


def _key(name: str, parts: Sequence[str]) -> bytes:
    key = "\0".join(parts).encode()
    if not 0 < len(key) <= MOST_KEY_BYTES or key.count(b"\0") != len(parts) - 1:
        raise OnlineStoreError(
            f"a {name} must have 1 to {MOST_KEY_BYTES} bytes and no NUL character to be looked up online: "
            f"found {len(key)} bytes, {key[:40]!r}…"
        )
    return key


def encode_record(layout: int, as_of: int, snapshot: int, body: bytes) -> bytes:
    """A record as stored."""
    return _HEADER.pack(layout, as_of, snapshot) + body


def is_same(stored: bytes, layout: int, body: bytes) -> bool:
    """Whether a stored record has the same values as a body of this layout, whatever its time."""
    return _HEADER.unpack_from(stored)[0] == layout and stored[_HEADER.size :] == body


def layout_number(stored: bytes) -> int:
    """The layout number of a stored record."""
    return int(_HEADER.unpack_from(stored)[0])


def decode_record(stored: bytes, layout: Layout, freshness: Callable[[str], Freshness | None]) -> Record:
    """A stored record, as recent as the last complete pass over its table, which ``freshness`` gives by source."""
    _, as_of, snapshot = _HEADER.unpack_from(stored)
    source, *values = _DECODER.decode(memoryview(stored)[_HEADER.size :])
    # MessagePack has no dates and timestamps: they are texts
    for index in layout.dates:
        if values[index] is not None:
            values[index] = date.fromisoformat(values[index])
    for index in layout.timestamps:
        if values[index] is not None:
            values[index] = datetime.fromisoformat(values[index])
    whole, known_at = freshness(source), to_datetime(as_of)
    if whole is not None:
        known_at, snapshot = max(known_at, whole.as_of), max(snapshot, whole.snapshot)
    return Record(dict(zip(layout.columns, values, strict=True)), known_at, snapshot)


def to_microseconds(time: datetime) -> int:
    """A naive UTC time as microseconds since 1970."""
    return (time - _EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=1024)
def to_datetime(microseconds: int) -> datetime:
    """The inverse of :func:`to_microseconds`."""
    return _EPOCH + timedelta(microseconds=microseconds)
