"""The SQLite file that the API appends to, in order of sequence number; the lake has all up to the watermark."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path

import msgspec

from warehouse.decision_log.entries import DECISIONS, KINDS, Decision, ReportedOutcome, ScoringFailure, ShadowDecision
from warehouse.errors import OutboxError
from warehouse.settings import Settings

_BUSY_SECONDS = 20.0
_ROWS_A_STATEMENT = 1_000
#: Decoded in 0.05 s.
_MOST_READ = 5_000
#: SQLite keeps the journal file at its largest size unless limited; normally it is 4 MB.
_JOURNAL_BYTES = 16_777_216

_WATERMARKS = """
create table if not exists watermarks (
    entries text primary key,
    ingested_up_to integer not null
) without rowid;
"""
_ENTRIES = """
create table if not exists {table} (
    sequence integer primary key autoincrement,
    id text not null unique,
    appended_at real not null,
    payload blob not null{more}
);
insert or ignore into watermarks values ('{table}', 0);
"""
_KEYS = """
-- of two decisions on one Idempotency-Key, in whatever processes, the second is not kept
create unique index if not exists decisions_by_key on decisions (key_id) where key_id is not null;
"""
_SCHEMA = "".join(
    (
        _WATERMARKS,
        *(_ENTRIES.format(table=kind.table, more=", key_id text" if kind is DECISIONS else "") for kind in KINDS),
        _KEYS,
    )
)

_ENCODER = msgspec.msgpack.Encoder()
_DECISION_DECODER = msgspec.msgpack.Decoder(Decision)
_DECISION_ID = attrgetter("decision_id")


def create(settings: Settings, *, check_same_thread: bool = True) -> sqlite3.Connection:
    """A connection that may append; creates the outbox if it is missing.

    ``check_same_thread=False``: opened in one thread, then used by another thread only. Raises OutboxError if the file
    is missing but its journal exists.
    """
    _require_whole(settings.outbox)
    settings.outbox.parent.mkdir(parents=True, exist_ok=True)
    connection = _open(settings.outbox, check_same_thread=check_same_thread)
    connection.execute("pragma auto_vacuum = incremental")  # no effect after the first table
    connection.execute("pragma journal_mode = wal")
    connection.executescript(f"begin immediate; {_SCHEMA} commit;")
    return connection


def connect(settings: Settings) -> sqlite3.Connection | None:
    """A connection for reading and ingesting; None if no decision was ever logged. Raises as :func:`create`."""
    _require_whole(settings.outbox)
    if not settings.outbox.exists():
        return None
    connection = _open(settings.outbox)
    if not connection.execute("select 1 from sqlite_master where name = 'watermarks'").fetchall():
        connection.close()  # the API is creating it
        return None
    return connection


def append(
    connection: sqlite3.Connection,
    decisions: Sequence[Decision] = (),
    outcomes: Sequence[ReportedOutcome] = (),
    shadows: Sequence[ShadowDecision] = (),
    failures: Sequence[ScoringFailure] = (),
    *,
    keyed: Sequence[tuple[str, Decision]] = (),
    before_commit: Callable[[], None] | None = None,
) -> None:
    """Make these durable in one transaction. An existing id keeps its first entry.

    ``keyed``: (key id, decision) for requests that came with a key; left out if the key already has a decision.
    ``before_commit``: called in the transaction, which is undone if it raises.
    """
    now = time.time()
    kinds = [
        (table, [(key_of(row), now, _ENCODER.encode(row)) for row in rows])
        for table, rows, key_of in (
            ("decisions", decisions, _DECISION_ID),
            ("shadows", shadows, _DECISION_ID),
            ("outcomes", outcomes, attrgetter("outcome_id")),
            ("failures", failures, attrgetter("failure_id")),
        )
        if rows
    ]
    if before_commit is None and not keyed and len(kinds) == 1 and len(kinds[0][1]) <= _ROWS_A_STATEMENT:
        # autocommit: each further call would release the interpreter's lock, for milliseconds if a thread is busy
        _insert(connection, *kinds[0])
        return
    connection.execute("begin immediate")
    try:
        for table, rows in kinds:
            for start in range(0, len(rows), _ROWS_A_STATEMENT):
                _insert(connection, table, rows[start : start + _ROWS_A_STATEMENT])
        connection.executemany(
            "insert or ignore into decisions (id, appended_at, payload, key_id) values (?, ?, ?, ?)",
            [(row.decision_id, now, _ENCODER.encode(row), key_id) for key_id, row in keyed],
        )
        if before_commit is not None:
            before_commit()
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:  # on a full disk SQLite has already ended it
            connection.execute("rollback")
        raise


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[str, float, bytes]]) -> None:
    places = ", ".join(["(?, ?, ?)"] * len(rows))
    connection.execute(
        f"insert or ignore into {table} (id, appended_at, payload) values {places}", list(chain.from_iterable(rows))
    )


def find_in_outbox(connection: sqlite3.Connection, decision_id: str) -> Decision | None:
    """The decision while the outbox holds it, ingested or not; about 20 microseconds."""
    row = connection.execute("select payload from decisions where id = ?", (decision_id,)).fetchone()
    return _DECISION_DECODER.decode(row[0]) if row else None


def find_by_key(connection: sqlite3.Connection, key_id: str) -> Decision | None:
    """The decision with this key while the outbox holds it; about 25 microseconds."""
    row = connection.execute("select payload from decisions where key_id = ?", (key_id,)).fetchone()
    return _DECISION_DECODER.decode(row[0]) if row else None


def newest_in_outbox(
    settings: Settings, n: int, *, sources: Sequence[str] | None = None, caller_id: str | None = None
) -> list[Decision]:
    """The newest decisions, of some lenders or one caller, newest first; empty without an outbox.

    Of some, only the newest ``_MOST_READ`` entries are read.
    """
    connection = connect(settings)
    if connection is None:
        return []
    n_read = n if sources is None and caller_id is None else _MOST_READ
    with closing(connection):
        rows = connection.execute("select payload from decisions order by sequence desc limit ?", (n_read,))
        decisions = (_DECISION_DECODER.decode(payload) for (payload,) in rows)
        wanted = (
            each
            for each in decisions
            if (sources is None or each.source in sources) and caller_id in (None, each.caller_id)
        )
        return list(islice(wanted, n))


def find_shadow_in_outbox(connection: sqlite3.Connection, decision_id: str) -> ShadowDecision | None:
    """As :func:`find_in_outbox`, for a shadow challenger's decision."""
    row = connection.execute("select payload from shadows where id = ?", (decision_id,)).fetchone()
    return msgspec.msgpack.decode(row[0], type=ShadowDecision) if row else None


class Backlog(msgspec.Struct, frozen=True):
    """Number of entries of a kind not yet in the lake, up to a limit, and when the oldest was appended (Unix time)."""

    n_rows: int
    oldest_at: float | None


def backlog(connection: sqlite3.Connection) -> dict[str, Backlog]:
    """Kind of entry → its backlog, in microseconds: sequence numbers, erased and repeated entries included."""
    found = {}
    for table in (entries.table for entries in KINDS):
        row = connection.execute(
            f"select (select max(sequence) from {table}) - ingested_up_to, appended_at from watermarks "
            f"join {table} on sequence > ingested_up_to where entries = ? order by sequence limit 1",
            (table,),
        ).fetchone()
        found[table] = Backlog(*row) if row else Backlog(0, None)
    return found


def count_in_outbox(settings: Settings) -> int:
    """Number of entries of all kinds that are on this disk and not yet in the lake."""
    connection = connect(settings)
    if connection is None:
        return 0
    with closing(connection):
        return n_pending(connection)


def n_pending(connection: sqlite3.Connection) -> int:
    """As :func:`count_in_outbox`."""
    counts = [
        connection.execute(
            f"select count(*) from {entries.table} "
            "where sequence > (select ingested_up_to from watermarks where entries = ?)",
            (entries.table,),
        ).fetchone()
        for entries in KINDS
    ]
    return sum(n for (n,) in counts)


def _require_whole(path: Path) -> None:
    """If the database is missing or empty, SQLite would delete its journal with every decision in it."""
    journal = path.with_name(f"{path.name}-wal")
    if _size(journal) and not _size(path):
        raise OutboxError(
            f"{path} is missing or empty, and {journal.name} beside it holds decisions: put the file back (a backup "
            "of both, or of the home), or move the journal away if they may be lost"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _open(path: Path, *, check_same_thread: bool = True) -> sqlite3.Connection:
    # autocommit: this module begins and ends transactions explicitly
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=check_same_thread)
    connection.execute("pragma synchronous = full")
    connection.execute(f"pragma journal_size_limit = {_JOURNAL_BYTES}")
    return connection
