"""The interface of online stores."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from warehouse.online_store.records import Freshness, Record, RecordKey, TableName

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class WriteResult:
    """The effect of a pass over one table, in records."""

    n_written: int = 0
    n_unchanged: int = 0
    n_deleted: int = 0


class OnlineStore(Protocol):
    """The online store of one home. Opening it does no input or output: it may not exist or answer yet."""

    @property
    def place(self) -> str:
        """Its location, for messages."""

    async def read(self, keys: Sequence[RecordKey]) -> list[Record | None]:
        """The records of these keys, all of the same moment; None for a missing one.

        Raises OnlineStoreUnavailable if no refresh has ever ended or the store does not answer: otherwise every
        borrower would silently appear unknown.
        """

    async def freshness(self) -> Mapping[str, Freshness]:
        """Source → freshness at the end of the last refresh. Raises OnlineStoreUnavailable as above."""

    def write(self, table: TableName, batches: Iterable["pa.RecordBatch"], *, snapshot: int) -> WriteResult:
        """Make a table's records equal to ``batches``: write only changes, delete missing records.

        ``batches`` are ordered by the table's key and hold its columns, ``source``, ``as_of`` and values as of
        ``snapshot``. Raises OnlineStoreError for rows out of order and unsupported types. A second pass waits.
        """

    def anew(self) -> AbstractContextManager["OnlineStore"]:
        """A store to write everything to, which replaces this one at the end, without any deleted data.

        If the store keeps no deleted data, it is the store itself. Readers continue, and see one or the other.
        """

    async def close(self) -> None:
        """Close it; look-ups must have ended."""
