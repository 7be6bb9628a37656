"""The way of a team's decisions to the lake: API machines hand their outboxes over to the server, any worker drains it.

A machine hands entries over several times a second, and deletes them from its disk in the transaction that moves its
watermark: an entry is on the machine, on the server, or on both under one id, never on neither. A worker deletes
entries from the server after the lake's commit, under the writer lease.

A decision on a request with an ``Idempotency-Key`` goes to the server before it is answered, in one transaction with
its key: whichever machines the repeated requests reach, they get the first decision.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from warehouse.decision_log.entries import DECISIONS, KINDS, Decision, Entries
from warehouse.decision_log.outbox import Backlog, connect, count_in_outbox, n_pending
from warehouse.files.turns import file_turn_if_free
from warehouse.settings import Settings
from warehouse.team import server
from warehouse.team.machines import report

if TYPE_CHECKING:
    import psycopg

    Server = psycopg.Connection[tuple[Any, ...]]

#: Handed over in one transaction; deleting as many from SQLite takes 3 to 20 ms, in which no decision commits.
_AT_ONCE = 200
#: Together with its place in the order of arrival.
Handed = tuple[int, bytes, float]


def hand_over(settings: Settings, connection: "Server", *, reports: bool = True) -> int:
    """Move this machine's entries to the server, and report what is left; returns the number of moved entries.

    Does nothing while another process of the machine does it. ``reports``: False for a program that will not do so
    again, whose machine would count as silent. The connection must not be in a transaction: entries are deleted from
    this disk once the server has committed them.
    """
    if connection.info.transaction_status:
        raise ValueError("entries are handed over in transactions of their own: found the connection in one")
    n_moved = n_left = 0
    with file_turn_if_free(handover_turn(settings)) as is_ours:
        if not is_ours:
            return 0
        outbox = connect(settings)
        if outbox is not None:
            with closing(outbox):
                for entries in KINDS:
                    while rows := _next(outbox, entries):
                        _send(connection, settings, entries, rows)
                        _forget(outbox, entries, rows[-1][0])
                        n_moved += len(rows)
                n_left = n_pending(outbox)
        if reports:
            report(connection, settings, n_left)
    return n_moved


def handover_turn(settings: Settings) -> Path:
    """The lock file of the process of this machine that moves entries to the server."""
    return settings.team / "handover.lock"


def count_pending(settings: Settings) -> int:
    """Number of entries not yet in the lake: on this disk and, in a team, on its server."""
    return count_in_outbox(settings) + (n_handed_over(settings) if settings.catalog is not None else 0)


def n_handed_over(settings: Settings) -> int:
    """Number of entries on the server that the lake does not have yet."""
    with server(settings, "count decisions") as connection:
        row = connection.execute("select count(*) from loanlake.decision_log").fetchone()
    return int(row[0]) if row is not None else 0


def backlog_on_server(connection: "Server") -> Backlog:
    """What all machines have handed over and the lake does not have yet."""
    row = connection.execute("select count(*), min(appended_at) from loanlake.decision_log").fetchone()
    return Backlog(*row) if row is not None else Backlog(0, None)


def next_handed_over(connection: "Server", entries: Entries, n: int) -> list[Handed]:
    """The next entries for the lake, in the order of their arrival."""
    return connection.execute(
        "select position, payload, appended_at from loanlake.decision_log where kind = %s order by position limit %s",
        [entries.table, n],
    ).fetchall()


def forget_handed_over(connection: "Server", entries: Entries, positions: Sequence[int]) -> None:
    """Delete entries that the lake has."""
    connection.execute(
        "delete from loanlake.decision_log where kind = %s and position = any(%s)", [entries.table, list(positions)]
    )


def find_handed_over(settings: Settings, decision_id: str, entries: Entries) -> bytes | None:
    """The entry of this id, while the server has it."""
    with server(settings, "find a decision") as connection:
        row = connection.execute(
            "select payload from loanlake.decision_log where kind = %s and id = %s", [entries.table, decision_id]
        ).fetchone()
    return bytes(row[0]) if row is not None else None


def handed_over(settings: Settings, entries: Entries, holding: Sequence[bytes] = ()) -> Iterator[tuple[str, bytes]]:
    """Ids and payloads on the server, newest first, of those that contain all these bytes."""
    holds = " and position(%s in payload) > 0" * len(holding)
    with server(settings, "search decisions") as connection:
        rows = connection.execute(
            f"select id, payload from loanlake.decision_log where kind = %s{holds} order by position desc",
            [entries.table, *holding],
        ).fetchall()
    yield from ((entry_id, bytes(payload)) for entry_id, payload in rows)


def decision_of_key(connection: "Server", key_id: str) -> tuple[str, bytes | None] | None:
    """The id of the key's decision, and its payload while the server has it; None for a new key."""
    row = connection.execute(
        "select keys.decision_id, log.payload from loanlake.decision_keys as keys "
        "left join loanlake.decision_log as log on log.kind = 'decisions' and log.id = keys.decision_id "
        "where keys.key_id = %s",
        [key_id],
    ).fetchone()
    return None if row is None else (row[0], bytes(row[1]) if row[1] is not None else None)


def add_keyed(connection: "Server", settings: Settings, key_id: str, decision: Decision) -> bool:
    """Keep a decision under a key; False if the key has one already. The transaction's commit makes both durable."""
    is_new = connection.execute(
        "insert into loanlake.decision_keys (key_id, decision_id) values (%s, %s) on conflict do nothing",
        [key_id, decision.decision_id],
    ).rowcount
    if is_new:
        _send(connection, settings, DECISIONS, [(0, decision.decision_id, time.time(), _encoded(decision))])
    return bool(is_new)


def prune_keys(settings: Settings, *, older_than: timedelta) -> int:
    """Forget keys of decisions made longer ago; returns their number."""
    with server(settings, "prune keys") as connection:
        return connection.execute(
            "delete from loanlake.decision_keys where added_at < clock_timestamp() - %s", [older_than]
        ).rowcount


def change_handed_over(settings: Settings, changes: Sequence[tuple[Entries, str, str | None, bytes | None]]) -> None:
    """Replace ids and payloads on the server, or delete where they are None; keys of these decisions are deleted."""
    with server(settings, "erase a person") as connection, connection.transaction():
        for entries, entry_id, new_id, payload in changes:
            if entries is DECISIONS:
                connection.execute("delete from loanlake.decision_keys where decision_id = %s", [entry_id])
            if new_id is None or payload is None:
                connection.execute(
                    "delete from loanlake.decision_log where kind = %s and id = %s", [entries.table, entry_id]
                )
            else:
                connection.execute(
                    "update loanlake.decision_log set id = %s, payload = %s where kind = %s and id = %s",
                    [new_id, payload, entries.table, entry_id],
                )


def _next(outbox: sqlite3.Connection, entries: Entries) -> list[tuple[int, str, float, bytes]]:
    return outbox.execute(
        f"select sequence, id, appended_at, payload from {entries.table} "
        "where sequence > (select ingested_up_to from watermarks where entries = ?) order by sequence limit ?",
        (entries.table, _AT_ONCE),
    ).fetchall()


def _send(
    connection: "Server", settings: Settings, entries: Entries, rows: Sequence[tuple[int, str, float, bytes]]
) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "insert into loanlake.decision_log (kind, id, machine, appended_at, payload) values (%s, %s, %s, %s, %s) "
            "on conflict do nothing",
            [
                (entries.table, entry_id, settings.machine, appended_at, payload)
                for _, entry_id, appended_at, payload in rows
            ],
        )


def _forget(outbox: sqlite3.Connection, entries: Entries, sequence: int) -> None:
    outbox.execute("begin immediate")
    outbox.execute("update watermarks set ingested_up_to = ? where entries = ?", (sequence, entries.table))
    outbox.execute(f"delete from {entries.table} where sequence <= ?", (sequence,))
    outbox.execute("commit")


def _encoded(decision: Decision) -> bytes:
    return msgspec.msgpack.encode(decision)
