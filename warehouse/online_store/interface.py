"""What an online store can do, whatever keeps it."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from warehouse.online_store.records import Freshness, Record, RecordKey, TableName

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class WriteResult:
    """What a pass over one table did, in records."""

    n_written: int = 0
    n_unchanged: int = 0
    n_deleted: int = 0


class OnlineStore(Protocol):
    """The online store of one home. Opening it reaches for nothing: it may not be written, or not be up, yet."""

    @property
    def place(self) -> str:
        """Where it is kept, for messages."""

    async def read(self, keys: Sequence[RecordKey]) -> list[Record | None]:
        """The records of these keys, all of one moment; None if there is none.

        Raises OnlineStoreUnavailable if no refresh has ever ended or the store does not answer: without it every
        borrower would look unknown without notice.
        """

    async def freshness(self) -> Mapping[str, Freshness]:
        """Source → what its borrowers stood for when a refresh last ended. Raises OnlineStoreUnavailable as above."""

    def write(self, table: TableName, batches: Iterable["pa.RecordBatch"], *, snapshot: int) -> WriteResult:
        """Make a table's records those of ``batches``: only changes are written, and missing records are deleted.

        ``batches`` come ordered by the table's key and hold its columns, ``source``, ``as_of`` and values; ``snapshot``
        is the lake snapshot they were read from. Raises OnlineStoreError for rows out of order and for types that it
        cannot hold. One pass at a time: another one waits.
        """

    def anew(self) -> AbstractContextManager["OnlineStore"]:
        """A store to write everything to, which takes this one's place at the end: nothing deleted stays behind in it.

        If the store keeps no deleted data, that is the store itself. Readers continue, and see one or the other.
        """

    async def close(self) -> None:
        """Let go of it; look-ups must have ended."""
