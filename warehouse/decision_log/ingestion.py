"""Move entries from the outbox to the lake, each exactly once; and find one decision by its id.

The watermark moves after the lake's commit. If the process dies in between, the next run reads those entries again and
inserts only missing ones. They are recent, so only the lake's newest files are searched.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from warehouse.decision_log.entries import (
    BATCH_ROUTES,
    DECISIONS,
    KINDS,
    OUTCOMES,
    SHADOWS,
    Decision,
    Entries,
    ShadowDecision,
)
from warehouse.decision_log.features import keep_features, read_features
from warehouse.decision_log.handover import (
    find_handed_over,
    forget_handed_over,
    hand_over,
    n_handed_over,
    next_handed_over,
)
from warehouse.decision_log.outbox import connect, find_in_outbox, find_shadow_in_outbox, n_pending
from warehouse.errors import LakeError, NotFoundError
from warehouse.settings import Settings
from warehouse.team import server

if TYPE_CHECKING:
    import duckdb

#: How far a clock may be set back between appending an entry and ingesting it.
_CLOCK_STEP = timedelta(days=1)


@dataclass(frozen=True)
class Ingested:
    """Number of rows added to the lake."""

    n_decisions: int
    n_outcomes: int
    n_shadows: int = 0


def ingest_into_lake(settings: Settings, *, batch_rows: int = 50_000) -> Ingested:
    """Move the outbox's entries into the lake, each exactly once, despite interruptions.

    The API may continue to append. Takes the writer lease only if entries are pending; raises LakeBusyError if another
    writer keeps it, LakeError if no contract gives the types of a decision's features.
    """
    if settings.catalog is not None:
        return _ingest_from_server(settings, batch_rows)
    connection = connect(settings)
    if connection is None:
        return Ingested(0, 0)
    with closing(connection):
        if not n_pending(connection):
            return Ingested(0, 0)
        from warehouse.lake.connection import writer

        with writer("ingest decisions", settings) as con:
            gained = {kind.table: _ingest(settings, connection, con, kind, batch_rows) for kind in KINDS}
    return Ingested(gained[DECISIONS.table], gained[OUTCOMES.table], gained[SHADOWS.table])


def _ingest_from_server(settings: Settings, batch_rows: int) -> Ingested:
    """Move what the machines of a team have handed over, this one's own first."""
    with server(settings, "ingest decisions") as connection:
        hand_over(settings, connection, reports=False)
    if not n_handed_over(settings):
        return Ingested(0, 0)
    from warehouse.lake.connection import writer

    gained = dict.fromkeys((kind.table for kind in KINDS), 0)
    with writer("ingest decisions", settings) as con, server(settings, "ingest decisions") as connection:
        for kind in KINDS:
            while rows := next_handed_over(connection, kind, batch_rows):
                first_appended_at = min(appended_at for _, _, appended_at in rows)
                payloads = [bytes(payload) for _, payload, _ in rows]
                gained[kind.table] += _insert_missing(settings, con, kind, payloads, first_appended_at)
                forget_handed_over(connection, kind, [position for position, _, _ in rows])
                if len(rows) < batch_rows:
                    break  # newer entries can wait for the next run: other writers are waiting
    return Ingested(gained[DECISIONS.table], gained[OUTCOMES.table], gained[SHADOWS.table])


def find_decision(settings: Settings, decision_id: str) -> Decision:
    """The decision, shadow or not, in the outbox or the lake; raises NotFoundError, or LakeError on a failed query."""
    connection, found = connect(settings), None
    if connection is not None:
        with closing(connection):
            found = find_in_outbox(connection, decision_id) or find_shadow_in_outbox(connection, decision_id)
    if found is None and settings.catalog is not None:
        found = _find_on_server(settings, decision_id)
    found = found or _find_in_lake(settings, decision_id)
    if found is None:
        raise NotFoundError(
            f"no decision {decision_id!r} in the outbox ({settings.outbox}) or in {DECISIONS.lake_table}; "
            "check the id, and LOANLAKE_HOME"
        )
    return found


def _ingest(
    settings: Settings,
    connection: sqlite3.Connection,
    con: "duckdb.DuckDBPyConnection",
    entries: Entries,
    batch_rows: int,
) -> int:
    n_gained = 0
    while True:
        # SQLite has one writer at a time: no lower sequence number appears after a higher one was seen
        rows = connection.execute(
            f"select sequence, payload, appended_at from {entries.table} "
            "where sequence > (select ingested_up_to from watermarks where entries = ?) order by sequence limit ?",
            (entries.table, batch_rows),
        ).fetchall()
        if not rows:
            return n_gained
        first_appended_at = min(appended_at for _, _, appended_at in rows)
        n_gained += _insert_missing(settings, con, entries, [payload for _, payload, _ in rows], first_appended_at)
        _move_watermark(connection, entries, rows[-1][0])
        if len(rows) < batch_rows:
            return n_gained  # newer entries can wait for the next run: other writers are waiting


def _insert_missing(
    settings: Settings,
    con: "duckdb.DuckDBPyConnection",
    entries: Entries,
    payloads: list[bytes],
    first_appended_at: float,
) -> int:
    """Commit missing entries to the lake; returns their number."""
    structs = msgspec.msgpack.Decoder(entries.struct)
    decoded = [structs.decode(payload) for payload in payloads]
    since = datetime.fromtimestamp(first_appended_at, UTC).replace(tzinfo=None) - _CLOCK_STEP
    if entries is OUTCOMES or any(isinstance(entry, Decision) and entry.route in BATCH_ROUTES for entry in decoded):
        since = datetime.min  # a repeated report or batch has the same ids, however much later
    con.register("batch", entries.to_arrow(decoded))
    # before the transaction, which may write to the lake only; the lease excludes other writers
    con.execute(
        f"create or replace temp table lacking as select batch.* from batch anti join "
        f"(select {entries.key} from {entries.lake_table} where ingested_at >= ?) as present using ({entries.key})",
        [since],
    )
    con.unregister("batch")
    con.execute("begin")
    if issubclass(entries.struct, Decision):
        keep_features(con, settings, "lacking")
    ((n_rows,),) = con.execute(
        f"insert into {entries.lake_table} by name "
        f"select {', '.join(entries.columns)}, $1::timestamp as ingested_at from lacking",
        [datetime.now(UTC).replace(tzinfo=None)],
    ).fetchall()
    con.execute("commit")
    return int(n_rows)


def _move_watermark(connection: sqlite3.Connection, entries: Entries, sequence: int) -> None:
    connection.execute("update watermarks set ingested_up_to = ? where entries = ?", (sequence, entries.table))


@contextmanager
def lake_read(settings: Settings) -> Iterator["duckdb.DuckDBPyConnection | None"]:
    """The lake, or None if there is none; a query finds nothing before any program has written to it.

    Raises LakeError for a failed query, without DuckDB's message: it may show the lake's place and credentials.
    """
    import duckdb

    from warehouse.lake.connection import connect as connect_to_lake
    from warehouse.lake.connection import lake_exists

    if not lake_exists(settings):
        yield None
        return
    with closing(connect_to_lake(settings)) as con:
        try:
            yield con
        except duckdb.CatalogException:
            return
        except duckdb.Error as error:
            raise LakeError(f"a query of {DECISIONS.lake_table} ended with {type(error).__name__}") from error


def _find_on_server(settings: Settings, decision_id: str) -> Decision | None:
    kinds: tuple[tuple[Entries, type[Decision]], ...] = ((DECISIONS, Decision), (SHADOWS, ShadowDecision))
    for entries, struct in kinds:
        payload = find_handed_over(settings, decision_id, entries)
        if payload is not None:
            return msgspec.msgpack.decode(payload, type=struct)
    return None


def _find_in_lake(settings: Settings, decision_id: str) -> Decision | None:
    with lake_read(settings) as con:
        if con is None:
            return None
        for kind, struct in ((DECISIONS, Decision), (SHADOWS, ShadowDecision)):
            query = f"select {', '.join(kind.columns)} from {kind.lake_table} where decision_id = ?"
            row = con.execute(query, [decision_id]).fetchone()
            if row is not None:
                found = dict(zip(kind.columns, row, strict=True))
                found["features"] = read_features(con, found["feature_version"], decision_id)
                return msgspec.convert(found, struct)
    return None
