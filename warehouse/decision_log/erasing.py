"""Delete or pseudonymise a person's entries in the outbox, so that no byte of the file names them."""

import json
from collections.abc import Callable, Collection, Iterable
from contextlib import closing

import msgspec

from warehouse.decision_log.entries import DECISIONS, Entries
from warehouse.decision_log.handover import change_handed_over, handover_turn
from warehouse.decision_log.outbox import connect
from warehouse.errors import LakeError
from warehouse.files.turns import file_turn
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
    if settings.catalog is None:
        _erase_here(settings, found, rename)
        return
    # an entry on its way would be on neither: not on the disk any more, not yet on the server
    with file_turn(handover_turn(settings)):
        _erase_here(settings, found, rename)
        change_handed_over(settings, [_change(*each, rename=rename) for each in found])


def _erase_here(
    settings: Settings,
    found: Collection[tuple[Entries, str, msgspec.Struct]],
    rename: Callable[[str], str] | None,
) -> None:
    connection = connect(settings)
    if connection is None:
        return
    with closing(connection):
        connection.execute("begin immediate")
        for entries, entry_id, entry in found:
            if rename is None:
                connection.execute(f"delete from {entries.table} where id = ?", (entry_id,))
                continue
            if entries is DECISIONS:  # a key may contain the application's id, or be guessed from it
                connection.execute("update decisions set key_id = null where id = ?", (entry_id,))
            renamed = _renamed(entry, rename)
            connection.execute(
                f"update {entries.table} set id = ?, payload = ? where id = ?",
                (getattr(renamed, entries.key), msgspec.msgpack.encode(renamed), entry_id),
            )
        connection.execute("commit")
        # deleted rows remain in free pages and the journal until both are rewritten
        connection.execute("vacuum")
        ((is_busy, *_),) = connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        if is_busy:
            raise LakeError(f"{settings.outbox} is being read, so its journal could not be emptied: run this again")


def _change(
    entries: Entries, entry_id: str, entry: msgspec.Struct, *, rename: Callable[[str], str] | None
) -> tuple[Entries, str, str | None, bytes | None]:
    if rename is None:
        return entries, entry_id, None, None
    renamed = _renamed(entry, rename)
    return entries, entry_id, str(getattr(renamed, entries.key)), msgspec.msgpack.encode(renamed)


def renamed_texts(names: Iterable[str], rename: Callable[[str], str]) -> list[tuple[str, str]]:
    """Each id and its replacement, as texts of JSON."""
    return [(json.dumps(name, ensure_ascii=False), json.dumps(rename(name), ensure_ascii=False)) for name in names]


def _renamed(entry: msgspec.Struct, rename: Callable[[str], str]) -> msgspec.Struct:
    ids = {name: value for name in _NAMING if (value := getattr(entry, name, None)) is not None}
    renamed = {name: rename(value) for name, value in ids.items()}
    inputs = getattr(entry, "inputs", None)
    if inputs is not None:  # JSON that contains the ids
        for before, after in renamed_texts(ids.values(), rename):
            inputs = inputs.replace(before, after)
        renamed["inputs"] = inputs
    return msgspec.structs.replace(entry, **renamed)
