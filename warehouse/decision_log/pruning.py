"""Delete ingested entries from the outbox and free the space, while the API continues.

An entry is deleted only after it was found in the lake, which may have been restored from a backup since the watermark
moved, and a decision only after every topic that gets it has it. SQLite has one writer at a time: transactions take
milliseconds, with pauses for the API's commits.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from warehouse.decision_log.entries import DECISIONS, KINDS, Entries
from warehouse.decision_log.handover import prune_keys
from warehouse.decision_log.outbox import connect
from warehouse.decision_log.publication import published_up_to
from warehouse.lenders.rules import publishing_lenders
from warehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb

#: Entries looked up in the lake at a time: each look-up reads the whole id column.
_LOOKED_UP_AT_ONCE = 200_000
#: Per transaction: 200 entries of 5 KB are deleted in 3 to 20 ms, 5,000 in 150 to 850 ms.
_DELETED_AT_ONCE = 200
#: Per transaction: 250 pages are moved in 2 to 45 ms; all of 100 MB in one step took 5 s and as large a journal.
_PAGES_AT_ONCE = 250
_SHORTEST_PAUSE = 0.005


@dataclass(frozen=True)
class Pruned:
    """``n_bytes``: how much smaller the file became. ``n_missing``: old entries kept because the lake lacks them."""

    n_entries: int = 0
    n_bytes: int = 0
    n_missing: int = 0


def prune(settings: Settings, *, older_than: timedelta) -> Pruned:
    """Delete entries that the lake has and that were appended more than ``older_than`` ago.

    Until then a decision is found without querying the lake, and a request repeated with its key gets its first answer.
    Raises LakeError if there are old entries and no lake.
    """
    if settings.catalog is not None:  # entries are deleted as soon as the server, then the lake, has them
        return Pruned(prune_keys(settings, older_than=older_than))
    connection = connect(settings)
    if connection is None:
        return Pruned()
    with closing(connection):
        # what a power cut restores is deleted by the next run
        connection.execute("pragma synchronous = normal")
        # before the API's limit of 1,000 pages, so that its commits rarely have to checkpoint
        connection.execute("pragma wal_autocheckpoint = 500")
        before = time.time() - older_than.total_seconds()
        found = [_prune(settings, connection, entries, before) for entries in KINDS]
        return Pruned(sum(n for n, _ in found), _give_back(connection), sum(n_missing for _, n_missing in found))


def _prune(settings: Settings, connection: sqlite3.Connection, entries: Entries, before: float) -> tuple[int, int]:
    """Returns the numbers of deleted entries and of entries missing from the lake."""
    from warehouse.lake.connection import connect as connect_to_lake

    n_deleted = 0
    last = published_up_to(connection, publishing_lenders()) if entries is DECISIONS else None
    while rows := _oldest(connection, entries, before, last):
        with closing(connect_to_lake(settings)) as con:
            missing = _missing(con, entries, [entry_id for _, entry_id in rows])
        if missing:
            first = next(sequence for sequence, entry_id in rows if entry_id in missing)
            # ingestion inserts only what the lake lacks
            connection.execute(
                "update watermarks set ingested_up_to = min(ingested_up_to, ?) where entries = ?",
                (first - 1, entries.table),
            )
            rows = [row for row in rows if row[0] < first]
        n_deleted += _delete(connection, entries, [sequence for sequence, _ in rows])
        if missing:
            return n_deleted, len(missing)
    return n_deleted, 0


def _oldest(connection: sqlite3.Connection, entries: Entries, before: float, last: int | None) -> list[tuple[int, str]]:
    rows = connection.execute(
        f"select sequence, id, appended_at from {entries.table} "
        "where sequence <= (select ingested_up_to from watermarks where entries = ?) "
        "and (? is null or sequence <= ?) order by sequence limit ?",
        (entries.table, last, last, _LOOKED_UP_AT_ONCE),
    )
    # numbers follow time, except after a clock step: stop at the first young one
    return [(sequence, entry_id) for sequence, entry_id, _ in takewhile(lambda row: row[2] < before, rows)]


def _missing(con: "duckdb.DuckDBPyConnection", entries: Entries, ids: Sequence[str]) -> set[str]:
    import duckdb
    import pyarrow as pa

    con.register("batch", pa.table({"id": pa.array(ids, pa.string())}))
    try:
        found = con.execute(
            f"select id from batch anti join {entries.lake_table} as present on present.{entries.key} = batch.id"
        ).fetchall()
    except duckdb.CatalogException:  # an older lake without this table
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
    """Free unused pages, which SQLite never does; the file shrinks at its next checkpoint. Returns their bytes."""
    ((page_bytes,),) = connection.execute("pragma page_size").fetchall()
    (n_before, n_free) = _pages(connection)
    for _ in range(0, n_free, _PAGES_AT_ONCE):
        with _turn():
            # executescript: `execute` takes one step of this statement, which frees one page
            connection.executescript(f"pragma incremental_vacuum({_PAGES_AT_ONCE})")
    # pages in use by others are left to their own checkpoints
    connection.execute("pragma wal_checkpoint(passive)").fetchall()
    return max(0, n_before - _pages(connection)[0]) * int(page_bytes)


def _pages(connection: sqlite3.Connection) -> tuple[int, int]:
    ((n_pages,),) = connection.execute("pragma page_count").fetchall()
    ((n_free,),) = connection.execute("pragma freelist_count").fetchall()
    return int(n_pages), int(n_free)


@contextmanager
def _turn() -> Iterator[None]:
    """Around one transaction: then pauses for as long as it took, for other writers."""
    started = time.perf_counter()
    yield
    time.sleep(max(_SHORTEST_PAUSE, time.perf_counter() - started))
