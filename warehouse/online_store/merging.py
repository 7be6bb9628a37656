"""Rows in order of key beside what a store holds in the same order: what both stores' writing shares.

One pass over both: memory stays at a batch whatever the size, and a run that changes nothing writes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from warehouse.online_store.interface import WriteResult
from warehouse.online_store.records import Freshness, TableName, source_key, to_datetime
from warehouse.online_store.rows import Row

_Stored = TypeVar("_Stored")


@dataclass
class Pass:
    """One pass over a table: the clocks of the sources seen, and what it did."""

    table: TableName
    snapshot: int
    clocks: dict[str, int] = field(default_factory=dict)
    result: WriteResult = field(default_factory=WriteResult)

    def copy(self) -> "Pass":
        """A pass that can go on without changing this one."""
        return replace(self, clocks=dict(self.clocks), result=replace(self.result))

    def count(self, row: Row, *, is_written: bool) -> None:
        """Note a row: written, or left as it was."""
        self.result.n_written += is_written
        self.result.n_unchanged += not is_written
        # the least recent row counts: a source is as fresh as its stalest borrower
        self.clocks[row.source] = min(row.as_of, self.clocks.get(row.source, row.as_of))

    def freshness(self) -> dict[bytes, Freshness]:
        """How fresh each source is once the pass has ended, by its key in the store."""
        return {
            source_key(self.table, source): Freshness(to_datetime(as_of), self.snapshot)
            for source, as_of in self.clocks.items()
        }


class InOrder(Generic[_Stored]):
    """Stored keys in order, each with what is stored; read one ahead, so that the one given may be deleted."""

    def __init__(self, stored: Iterator[tuple[bytes, _Stored]]) -> None:
        self._stored = stored
        self._next = next(stored, None)

    def before(self, key: bytes | None) -> Iterator[tuple[bytes, _Stored]]:
        """Those whose key comes before this one (all that are left, for None): no row has them any more."""
        while (found := self._next) is not None and (key is None or found[0] < key):
            self._next = next(self._stored, None)
            yield found

    def at(self, key: bytes) -> _Stored | None:
        """What is stored at this key, if anything; only after :meth:`before` of the same key."""
        found = self._next
        if found is None or found[0] != key:
            return None
        self._next = next(self._stored, None)
        return found[1]
