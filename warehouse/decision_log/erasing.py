"""Delete or pseudonymise a person's entries in the outbox, so that no byte of the file names them."""

import json
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing

import msgspec

from warehouse.decision_log.entries import DECISIONS, Entries
from warehouse.decision_log.outbox import connect
from warehouse.errors import LakeError
from warehouse.settings import Settings

_NAMING = ("decision_id", "answered_decision_id", "outcome_id", "application_id", "borrower_id")


def erase_entries(
    settings: Settings,
    found: Collection[tuple[Entries, str, msgspec.Struct]],
    *,
    rename: Callable[[str], str] | None,
) -> None:
    """Delete these entries, each given with its kind and id; with ``rename`` they stay, under other ids.

    The caller holds the writer lease, so no ingestion moves them meanwhile; the API may continue to append. Raises
    LakeError if a reader keeps the file's journal in use; run it again later.
    """
    connection = connect(settings)
    if connection is None:
        return
    with closing(connection):
        connection.execute("begin immediate")
        for entries, entry_id, entry in found:
            if rename is None:
                connection.execute(f"delete from {entries.table} where id = ?", (entry_id,))
            else:
                _rename(connection, entries, entry_id, entry, rename)
        connection.execute("commit")
        # deleted rows remain in free pages and the journal until both are rewritten
        connection.execute("vacuum")
        ((is_busy, *_),) = connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        if is_busy:
            raise LakeError(f"{settings.outbox} is being read, so its journal could not be emptied: run this again")


def _rename(
    connection: sqlite3.Connection,
    entries: Entries,
    entry_id: str,
    entry: msgspec.Struct,
    rename: Callable[[str], str],
) -> None:
    ids = {name: value for name in _NAMING if (value := getattr(entry, name, None)) is not None}
    renamed = {name: rename(value) for name, value in ids.items()}
    inputs = getattr(entry, "inputs", None)
    if inputs is not None:  # JSON that contains the ids
        for name, value in ids.items():
            before, after = (json.dumps(text, ensure_ascii=False) for text in (value, renamed[name]))
            inputs = inputs.replace(before, after)
        renamed["inputs"] = inputs
    entry = msgspec.structs.replace(entry, **renamed)
    if entries is DECISIONS:  # a key may contain the application's id, or be guessed from it
        connection.execute("update decisions set key_id = null where id = ?", (entry_id,))
    connection.execute(
        f"update {entries.table} set id = ?, payload = ? where id = ?",
        (getattr(entry, entries.key), msgspec.msgpack.encode(entry), entry_id),
    )
