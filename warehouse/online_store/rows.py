"""Rows of the online models, checked and merged by key with what a store holds, in the memory of one batch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from warehouse.errors import OnlineStoreError
from warehouse.online_store.interface import WriteResult
from warehouse.online_store.records import (
    Freshness,
    Layout,
    RecordKey,
    TableName,
    borrower_key,
    cohort_key,
    encode,
    source_key,
    to_datetime,
    to_microseconds,
)

if TYPE_CHECKING:
    import pyarrow as pa


_Stored = TypeVar("_Stored")


class Row(NamedTuple):
    """One record to write: ``as_of`` in microseconds since 1970, ``body`` the source and values."""

    key: bytes
    source: str
    as_of: int
    body: bytes


#: Columns of each table's key, and the key of their values.
_KEYS: dict[TableName, tuple[tuple[str, ...], Callable[..., RecordKey]]] = {
    "borrowers": (("borrower_id",), borrower_key),
    "cohorts": (("source", "segment", "segment_value"), cohort_key),
}


def read_rows(
    table: TableName, batches: Iterable["pa.RecordBatch"], *, at_once: int
) -> Iterator[tuple[Layout, list[Row]]]:
    """The batches' rows, at most ``at_once`` at a time, and the layout of their values.

    Raises OnlineStoreError for a key that is not above the previous one, and for a column of an unsupported type.
    """
    (key_columns, key_of), last = _KEYS[table], b""
    for batch in batches:
        names = [name for name in batch.schema.names if name not in {*key_columns, "source", "as_of"}]
        layout = _layout(batch.schema, names)
        for start in range(0, batch.num_rows, at_once):
            columns = batch.slice(start, at_once).to_pydict()
            keys = map(key_of, *(columns[name] for name in key_columns))
            bodies = map(encode, zip(columns["source"], *(columns[name] for name in names), strict=True))
            rows = [
                Row(key.key, source, to_microseconds(as_of), body)
                for key, source, as_of, body in zip(keys, columns["source"], columns["as_of"], bodies, strict=True)
            ]
            for row in rows:
                if row.key <= last:
                    raise OnlineStoreError(
                        f"{table} must come ordered by key, each once: found {row.key!r} after {last!r}"
                    )
                last = row.key
            yield layout, rows


@dataclass
class Pass:
    """One pass over a table: the clock of each source seen, and the effect so far."""

    table: TableName
    snapshot: int
    clocks: dict[str, int] = field(default_factory=dict)
    result: WriteResult = field(default_factory=WriteResult)

    def copy(self) -> "Pass":
        """An independent copy."""
        return replace(self, clocks=dict(self.clocks), result=replace(self.result))

    def count(self, row: Row, *, is_written: bool) -> None:
        """Count a row as written or unchanged."""
        self.result.n_written += is_written
        self.result.n_unchanged += not is_written
        # a source is as fresh as its stalest borrower
        self.clocks[row.source] = min(row.as_of, self.clocks.get(row.source, row.as_of))

    def freshness(self) -> dict[bytes, Freshness]:
        """The freshness of each source at the end of the pass, by its key in the store."""
        return {
            source_key(self.table, source): Freshness(to_datetime(as_of), self.snapshot)
            for source, as_of in self.clocks.items()
        }


class InOrder(Generic[_Stored]):
    """Stored (key, value) pairs in order; reads one ahead, so that the current one may be deleted."""

    def __init__(self, stored: Iterator[tuple[bytes, _Stored]]) -> None:
        self._stored = stored
        self._next = next(stored, None)

    def before(self, key: bytes | None) -> Iterator[tuple[bytes, _Stored]]:
        """Pairs with keys before this one (for None: all others), which no row has."""
        while (found := self._next) is not None and (key is None or found[0] < key):
            self._next = next(self._stored, None)
            yield found

    def at(self, key: bytes) -> _Stored | None:
        """The value stored at this key, or None; only after :meth:`before` of the same key."""
        found = self._next
        if found is None or found[0] != key:
            return None
        self._next = next(self._stored, None)
        return found[1]


def _layout(schema: "pa.Schema", names: Sequence[str]) -> Layout:
    import pyarrow as pa

    dates, timestamps = [], []
    for index, name in enumerate(names):
        found = schema.field(name).type
        if pa.types.is_date(found):
            dates.append(index)
        elif pa.types.is_timestamp(found) and found.tz is None:
            timestamps.append(index)
        elif not any(
            is_type(found)
            for is_type in (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_string)
        ):
            raise OnlineStoreError(
                f"column {name}: the online store holds whole numbers, doubles, booleans, text, dates and timestamps: "
                f"found {found}; cast it in the model"
            )
    return Layout(tuple(names), tuple(dates), tuple(timestamps))
