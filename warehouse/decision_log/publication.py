"""Which decisions of the outbox were published to a topic: a cursor for each lender, in the outbox itself.

A copy of the outbox has the cursors of its own moment: what a restore brings back is published again, and nothing is
left out. Decisions come in the order in which they were logged; the numbers of that order are never used twice.
"""

import sqlite3
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from warehouse.decision_log.entries import FoundDecision, HistoryWord, RoleWord, RouteWord, StatusWord

_CURSORS = """
create table if not exists publications (
    source text primary key,
    address text not null,
    published_up_to integer not null
) without rowid
"""


class PublishedModel(msgspec.Struct, frozen=True):
    """The version that decided."""

    name: str
    version: int
    feature_version: str


class PublishedDecision(msgspec.Struct, frozen=True):
    """A message: what ``GET /v1/decisions`` shows of a decision, without its caller."""

    decision_id: str
    application_id: str
    borrower_id: str | None
    lender: str
    route: RouteWord
    decided_at: datetime
    probability: float
    band: str
    decision: str
    model: PublishedModel
    role: RoleWord
    history: HistoryWord | None
    status: StatusWord


@dataclass(frozen=True)
class Unpublished:
    """The next decisions of a lender; ``up_to``: the cursor once they are published."""

    decisions: tuple[PublishedDecision, ...]
    up_to: int


@dataclass(frozen=True)
class Waiting:
    """Number of logged decisions beyond a cursor, of whichever lender, and the age of the oldest in seconds."""

    n_decisions: int
    seconds: float


_decode = msgspec.msgpack.Decoder(FoundDecision).decode


def begin_publication(outbox: sqlite3.Connection, source: str, address: str) -> None:
    """Make a lender's cursor: at the first decision that the outbox has, for a new address too."""
    outbox.execute(_CURSORS)
    outbox.execute(
        "insert into publications values (?, ?, 0) on conflict (source) do update "
        "set address = excluded.address, published_up_to = 0 where address <> excluded.address",
        (source, address),
    )


def next_unpublished(outbox: sqlite3.Connection, source: str, most: int) -> Unpublished | None:
    """The lender's decisions among the next ``most`` of the outbox; None if there is none of any lender."""
    rows = outbox.execute(
        "select sequence, payload from decisions where sequence > "
        "(select published_up_to from publications where source = ?) order by sequence limit ?",
        (source, most),
    ).fetchall()
    if not rows:
        return None
    logged = (_decode(payload) for _, payload in rows)
    return Unpublished(tuple(_published(each) for each in logged if each.source == source), rows[-1][0])


def note_published(outbox: sqlite3.Connection, source: str, up_to: int) -> None:
    """Move the lender's cursor, once the topic's servers have acknowledged every message before it."""
    outbox.execute("update publications set published_up_to = ? where source = ?", (up_to, source))


def waiting(outbox: sqlite3.Connection, source: str) -> Waiting:
    """How far a lender's topic is behind the outbox; nothing waits before it has a cursor."""
    if not _has_cursors(outbox):
        return Waiting(0, 0.0)
    n_decisions, oldest = outbox.execute(
        "select count(*), min(appended_at) from decisions where sequence > "
        "(select published_up_to from publications where source = ?)",
        (source,),
    ).fetchone()
    return Waiting(n_decisions, max(0.0, time.time() - oldest) if oldest is not None else 0.0)


def published_up_to(outbox: sqlite3.Connection, publishing: Collection[str]) -> int | None:
    """The number up to which all lenders that publish have done so; None if none has begun.

    The cursors of lenders that no longer publish are forgotten: their decisions wait for nobody.
    """
    if not _has_cursors(outbox):
        return None
    places = ", ".join("?" * len(publishing))
    outbox.execute(f"delete from publications where source not in ({places})", tuple(publishing))
    ((up_to,),) = outbox.execute("select min(published_up_to) from publications").fetchall()
    return None if up_to is None else int(up_to)


def _has_cursors(outbox: sqlite3.Connection) -> bool:
    return bool(outbox.execute("select 1 from sqlite_master where name = 'publications'").fetchall())


def _published(logged: FoundDecision) -> PublishedDecision:
    return PublishedDecision(
        decision_id=logged.decision_id,
        application_id=logged.application_id,
        borrower_id=logged.borrower_id,
        lender=logged.source,
        route=logged.route,
        decided_at=logged.decided_at.replace(tzinfo=UTC),
        probability=logged.probability,
        band=logged.band,
        decision=logged.decision,
        model=PublishedModel(logged.model_name, logged.model_version, logged.feature_version),
        role=logged.role,
        history=logged.history,
        status=logged.status,
    )
