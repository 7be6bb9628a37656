"""Fields of the Redis hash with a home's records."""

import msgspec

from warehouse.online_store.records import Freshness, Layout, TableName

META = b"meta"


class Meta(msgspec.Struct, array_like=True):
    """The field ``meta``: data of a home beside its records; ``is_complete``: a pass over a table has ended."""

    is_complete: bool = False
    layouts: dict[int, Layout] = {}
    sources: dict[bytes, Freshness] = {}


def record_field(table: TableName, key: bytes) -> bytes:
    """The field of a record in the hash; never begins with ``meta``."""
    return table[:1].encode() + key
