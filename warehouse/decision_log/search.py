"""Search decisions, newest first, in the outbox and then the lake, so that none is missed during ingestion."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import closing
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from warehouse.decision_log.entries import DECISIONS, FoundDecision, Place
from warehouse.decision_log.handover import handed_over
from warehouse.decision_log.ingestion import lake_read
from warehouse.decision_log.outbox import connect
from warehouse.settings import Settings

if TYPE_CHECKING:
    import sqlite3


class DecisionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Filter for decisions, at most ``n_rows``; None means all. ``before``: only those after this place in the list."""

    n_rows: int
    application_id: str | None = None
    borrower_id: str | None = None
    caller_id: str | None = None
    sources: tuple[str, ...] | None = None
    before: Place | None = None

    @property
    def wanted(self) -> dict[str, str]:
        """Columns with a requested value."""
        names = ("application_id", "borrower_id", "caller_id")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


_PLACE = attrgetter("place")
_DECODER = msgspec.msgpack.Decoder(FoundDecision)


def search_decisions(settings: Settings, query: DecisionQuery) -> list[FoundDecision]:
    """The selected decisions, newest first, each once; raises sqlite3.Error, OutboxError or LakeError."""
    pending = _in_outbox(settings, query)
    if settings.catalog is not None:
        holding = [value.encode() for value in query.wanted.values()]
        decoded = (_DECODER.decode(payload) for _, payload in handed_over(settings, DECISIONS, holding))
        pending += heapq.nlargest(query.n_rows, (each for each in decoded if _is_wanted(each, query)), key=_PLACE)
    found = {decision.decision_id: decision for decision in (*_in_lake(settings, query), *pending)}
    return heapq.nlargest(query.n_rows, found.values(), key=_PLACE)


def _in_outbox(settings: Settings, query: DecisionQuery) -> list[FoundDecision]:
    connection = connect(settings)
    if connection is None:
        return []
    with closing(connection):
        return heapq.nlargest(query.n_rows, _matching(connection, query), key=_PLACE)


def _matching(connection: "sqlite3.Connection", query: DecisionQuery) -> Iterator[FoundDecision]:
    # the payload contains an id's bytes unchanged: SQLite skips all others without decoding
    holds = "".join(" and instr(payload, ?) > 0" for _ in query.wanted)
    rows = connection.execute(
        "select payload from decisions "
        f"where sequence > (select ingested_up_to from watermarks where entries = 'decisions'){holds}",
        [value.encode() for value in query.wanted.values()],
    )
    for (payload,) in rows:
        found = _DECODER.decode(payload)
        if _is_wanted(found, query):
            yield found


def _is_wanted(found: FoundDecision, query: DecisionQuery) -> bool:
    is_wanted = all(getattr(found, name) == value for name, value in query.wanted.items())
    is_wanted = is_wanted and (query.sources is None or found.source in query.sources)
    return is_wanted and (query.before is None or found.place < query.before)


def newest_in_lake(
    settings: Settings, n: int, *, sources: Sequence[str] | None = None, caller_id: str | None = None
) -> list[FoundDecision]:
    """The newest decisions in the lake that callers got, of some lenders or one caller; empty without a lake."""
    conditions, parameters = ["route <> 'backfill'"], list[Any]()
    if sources is not None:
        conditions.append("list_contains(?, source)")
        parameters.append(list(sources))
    if caller_id is not None:
        conditions.append("caller_id = ?")
        parameters.append(caller_id)
    return _select_from_lake(settings, conditions, parameters, n)


def _in_lake(settings: Settings, query: DecisionQuery) -> list[FoundDecision]:
    conditions = [f"{name} = ?" for name in query.wanted]
    parameters: list[Any] = list(query.wanted.values())
    if query.sources is not None:
        conditions.append("list_contains(?, source)")
        parameters.append(list(query.sources))
    if query.before is not None:
        conditions.append("decided_at <= ? and (decided_at < ? or decision_id < ?)")
        parameters += [query.before[0], *query.before]
    return _select_from_lake(settings, conditions, parameters, query.n_rows)


def _select_from_lake(
    settings: Settings, conditions: Sequence[str], parameters: Sequence[Any], n_rows: int
) -> list[FoundDecision]:
    columns, rows = FoundDecision.__struct_fields__, []
    where = f"where {' and '.join(conditions)} " if conditions else ""
    with lake_read(settings) as con:
        if con is not None:
            rows = con.execute(
                f"select {', '.join(columns)} from {DECISIONS.lake_table} {where}"
                "order by decided_at desc, decision_id desc limit ?",
                [*parameters, n_rows],
            ).fetchall()
    return [msgspec.convert(dict(zip(columns, row, strict=True)), FoundDecision) for row in rows]
