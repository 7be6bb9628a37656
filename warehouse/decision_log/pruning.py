"""Delete from the outbox what the lake has, and give the room back, beside an API that goes on.

An entry goes once the lake was seen to have it. The watermark alone does not say so: the lake may have been put back
from a backup since. SQLite has one writer at a time, so the work is done in transactions of milliseconds with a pause
after each, in which the API's commits have their turn.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from warehouse.decision_log.entries import KINDS, Entries
from warehouse.decision_log.outbox import connect
from warehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb

#: Looked up in the lake at a time: each time its column of ids is read.
_LOOKED_UP_AT_ONCE = 200_000
#: One transaction: 200 entries of 5 KB are deleted in 3 to 20 ms, 5,000 in 150 to 850 ms.
_DELETED_AT_ONCE = 200
#: The same: 250 pages are moved in 2 to 45 ms; all of 100 MB in one step took 5 s and as large a journal.
_PAGES_AT_ONCE = 250
_SHORTEST_PAUSE = 0.005


@dataclass(frozen=True)
class Pruned:
    """What pruning did. ``n_bytes``: by how much the file became smaller.

    ``n_missing``: entries that the lake should have had and did not; they stay, and go to the lake with the next
    ingestion.
    """

    n_entries: int = 0
    n_bytes: int = 0
    n_missing: int = 0


def prune(settings: Settings, *, older_than: timedelta) -> Pruned:
    """Delete entries that the lake has and that were appended before ``older_than`` ago.

    Until then a decision is found without a query of the lake, and a request sent again with its key gets its first
    answer. An API and an ingestion may go on meanwhile. Raises LakeError where there are old entries and no lake.
    """
    connection = connect(settings)
    if connection is None:
        return Pruned()
    with closing(connection):
        # what a power cut brings back is deleted the next time
        connection.execute("pragma synchronous = normal")
        # ahead of the API's thousand pages, so that its commits seldom have to
        connection.execute("pragma wal_autocheckpoint = 500")
        before = time.time() - older_than.total_seconds()
        found = [_prune(settings, connection, entries, before) for entries in KINDS]
        return Pruned(sum(n for n, _ in found), _give_back(connection), sum(n_missing for _, n_missing in found))


def _prune(settings: Settings, connection: sqlite3.Connection, entries: Entries, before: float) -> tuple[int, int]:
    """How many were deleted, and how many the lake did not have."""
    from warehouse.lake.connection import connect as connect_to_lake

    n_deleted = 0
    while rows := _oldest(connection, entries, before):
        with closing(connect_to_lake(settings)) as con:
            missing = _missing(con, entries, [entry_id for _, entry_id in rows])
        if missing:
            first = next(sequence for sequence, entry_id in rows if entry_id in missing)
            # ingestion inserts what the lake lacks, and nothing twice
            connection.execute(
                "update watermarks set ingested_up_to = min(ingested_up_to, ?) where entries = ?",
                (first - 1, entries.table),
            )
            rows = [row for row in rows if row[0] < first]
        n_deleted += _delete(connection, entries, [sequence for sequence, _ in rows])
        if missing:
            return n_deleted, len(missing)
    return n_deleted, 0


def _oldest(connection: sqlite3.Connection, entries: Entries, before: float) -> list[tuple[int, str]]:
    """Sequence number and id of the first that were ingested and are old, up to the first that is not."""
    rows = connection.execute(
        f"select sequence, id, appended_at from {entries.table} "
        "where sequence <= (select ingested_up_to from watermarks where entries = ?) order by sequence limit ?",
        (entries.table, _LOOKED_UP_AT_ONCE),
    )
    # numbers follow time, but for a clock that stepped: none behind the first young one is looked at
    return [(sequence, entry_id) for sequence, entry_id, _ in takewhile(lambda row: row[2] < before, rows)]


def _missing(con: "duckdb.DuckDBPyConnection", entries: Entries, ids: Sequence[str]) -> set[str]:
    import duckdb
    import pyarrow as pa

    con.register("batch", pa.table({"id": pa.array(ids, pa.string())}))
    try:
        found = con.execute(
            f"select id from batch anti join {entries.lake_table} as present on present.{entries.key} = batch.id"
        ).fetchall()
    except duckdb.CatalogException:  # a lake from before there was this table
        return set(ids)
    return {entry_id for (entry_id,) in found}


def _delete(connection: sqlite3.Connection, entries: Entries, sequences: Sequence[int]) -> int:
    n_deleted = 0
    for start in range(0, len(sequences), _DELETED_AT_ONCE):
        some = sequences[start : start + _DELETED_AT_ONCE]
        with _turn():
            n_deleted += connection.execute(
                f"delete from {entries.table} where sequence between ? and ?", (some[0], some[-1])
            ).rowcount
    return n_deleted


def _give_back(connection: sqlite3.Connection) -> int:
    """Free the file's unused pages; the bytes they took. SQLite would use them again, but never make the file smaller.

    The file itself shrinks with the journal's next checkpoint.
    """
    ((page_bytes,),) = connection.execute("pragma page_size").fetchall()
    (n_before, n_free) = _pages(connection)
    for _ in range(0, n_free, _PAGES_AT_ONCE):
        with _turn():
            # as a script: `execute` takes one step of this statement, which frees one page
            connection.executescript(f"pragma incremental_vacuum({_PAGES_AT_ONCE})")
    # what others are reading or writing now is left to their own checkpoints
    connection.execute("pragma wal_checkpoint(passive)").fetchall()
    return max(0, n_before - _pages(connection)[0]) * int(page_bytes)


def _pages(connection: sqlite3.Connection) -> tuple[int, int]:
    """Pages of the file, and those of them that hold nothing."""
    ((n_pages,),) = connection.execute("pragma page_count").fetchall()
    ((n_free,),) = connection.execute("pragma freelist_count").fetchall()
    return int(n_pages), int(n_free)


@contextmanager
def _turn() -> Iterator[None]:
    """Around one transaction: afterwards others get as much time as it took."""
    started = time.perf_counter()
    yield
    time.sleep(max(_SHORTEST_PAUSE, time.perf_counter() - started))
