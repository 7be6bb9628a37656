"""Fields of the Redis hash with a home's records."""

from dataclasses import dataclass, field

import msgspec

from warehouse.online_store.records import Freshness, Layout, TableName

META = b"meta"


@dataclass
class Meta:
    """Data of a home beside its records; ``is_complete``: a pass over a table has ended."""

    is_complete: bool = False
    layouts: dict[int, Layout] = field(default_factory=dict)
    sources: dict[bytes, Freshness] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """For the field ``meta``."""
        layouts = {number: layout.to_bytes() for number, layout in self.layouts.items()}
        sources = {key: fresh.to_bytes() for key, fresh in self.sources.items()}
        return msgspec.msgpack.encode([self.is_complete, layouts, sources])

    @classmethod
    def from_bytes(cls, data: bytes | None) -> "Meta":
        """The inverse of :meth:`to_bytes`; None for an empty store."""
        if data is None:
            return cls()
        is_complete, layouts, sources = msgspec.msgpack.decode(data)
        return cls(
            is_complete,
            {number: Layout.from_bytes(layout) for number, layout in layouts.items()},
            {key: Freshness.from_bytes(fresh) for key, fresh in sources.items()},
        )


def record_field(table: TableName, key: bytes) -> bytes:
    """The field of a record in the hash; never begins with ``meta``."""
    return table[:1].encode() + key
