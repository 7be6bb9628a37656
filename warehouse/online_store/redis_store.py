"""The online store in Redis, for API processes on several machines.

One hash, ``<prefix>:records``, holds all records of a home and, in the field ``meta``, layouts and freshness. One HMGET
is a look-up of one moment; lost data shows as a lost ``meta``. Refreshes alone use sorted sets of each table's keys.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from warehouse.errors import OnlineStoreUnavailable
from warehouse.online_store.interface import WriteResult
from warehouse.online_store.records import (
    Freshness,
    Record,
    RecordKey,
    TableName,
    decode_record,
    layout_number,
    source_key,
)
from warehouse.online_store.redis_connection import RedisError, connect, redis
from warehouse.online_store.redis_records import META, Meta, record_field
from warehouse.online_store.redis_writing import write_table

if TYPE_CHECKING:
    import pyarrow as pa


class RedisStore:
    """One home's store under keys with ``prefix``; ``turn_seconds``: how long a refresh waits for another one."""

    def __init__(self, url: str, *, prefix: str, timeout_seconds: float, turn_seconds: float) -> None:
        self._url = url
        self._prefix = prefix
        self._timeout = timeout_seconds
        self._turn_seconds = turn_seconds
        self._readers: redis.asyncio.Redis | None = None
        self._meta: tuple[bytes, Meta] = (b"", Meta())

    @property
    def place(self) -> str:
        """The server and the keys' prefix, without a user and password in the URL."""
        parts = urlsplit(self._url)
        server = f"{parts.hostname or 'localhost'}:{parts.port or 6379}" if parts.scheme != "unix" else parts.path
        return f"{parts.scheme}://{server} ({self._prefix})"

    async def read(self, keys: Sequence[RecordKey]) -> list[Record | None]:
        """See :class:`OnlineStore`; one round trip for any number of keys."""
        meta, *stored = await self._fetch([META, *(record_field(key.table, key.key) for key in keys)])
        known = self._complete(meta)
        return [
            None if found is None else self._record(found, key.table, known)
            for key, found in zip(keys, stored, strict=True)
        ]

    async def freshness(self) -> dict[str, Freshness]:
        """See :class:`OnlineStore`."""
        (meta,) = await self._fetch([META])
        of_borrowers = source_key("borrowers", "")
        return {
            key.removeprefix(of_borrowers).decode(): fresh
            for key, fresh in self._complete(meta).sources.items()
            if key.startswith(of_borrowers)
        }

    def write(self, table: TableName, batches: Iterable["pa.RecordBatch"], *, snapshot: int) -> WriteResult:
        """See :class:`OnlineStore`."""
        # a refresh may wait longer than a request: a busy server is slow to return a page of 10,000 keys
        with redis.Redis.from_url(self._url, socket_timeout=30.0, socket_connect_timeout=5.0) as client:
            try:
                return write_table(client, self._prefix, table, batches, snapshot, turn_seconds=self._turn_seconds)
            except (RedisError, OSError) as error:
                raise self._unavailable(error) from error

    def anew(self) -> AbstractContextManager["RedisStore"]:
        """See :class:`OnlineStore`: the store itself, since Redis frees deleted data."""
        return nullcontext(self)

    async def close(self) -> None:
        """Close the connections."""
        if self._readers is not None:
            await self._readers.aclose()
            self._readers = None

    async def _fetch(self, fields: list[bytes]) -> list[bytes | None]:
        try:
            async with asyncio.timeout(self._timeout):
                found: list[bytes | None] = await self._client().hmget(f"{self._prefix}:records", fields)
        except TimeoutError as error:
            raise OnlineStoreUnavailable(
                f"the online store at {self.place} did not answer within {self._timeout:g} s "
                "(LOANLAKE_REDIS_TIMEOUT_SECONDS)"
            ) from error
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error
        return found

    def _client(self) -> Any:
        # created by the first look-up: connections belong to the event loop that opened them
        if self._readers is None:
            self._readers = connect(self._url, timeout_seconds=self._timeout)
        return self._readers

    def _complete(self, data: bytes | None) -> Meta:
        # changes only with a refresh, and takes longer to decode than a record
        if data is not None and data != self._meta[0]:
            self._meta = (data, msgspec.msgpack.decode(data, type=Meta))
        if data is None or not self._meta[1].is_complete:
            raise OnlineStoreUnavailable(f"the online store at {self.place} is empty: `loanlake run` fills it")
        return self._meta[1]

    def _record(self, stored: bytes, table: TableName, meta: Meta) -> Record:
        layout = meta.layouts.get(layout_number(stored))
        if layout is None:
            raise OnlineStoreUnavailable(
                f"the online store at {self.place} lacks a layout: delete these keys and refresh"
            )
        return decode_record(stored, layout, lambda source: meta.sources.get(source_key(table, source)))

    def _unavailable(self, error: Exception) -> OnlineStoreUnavailable:
        return OnlineStoreUnavailable(f"the online store at {self.place} does not answer: {error}")
