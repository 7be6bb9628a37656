"""Logged decisions, as callers may see them: all, or only their own with ``LOANLAKE_DECISIONS=own``."""

import asyncio
import base64
import binascii
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from ml.decisions.problems import Violation, shown
from serving.access.caller import Caller
from serving.access.guards import require_reach
from serving.http.problems import InvalidRequest, Unavailable, UnknownApplication, UnknownDecision, unknown_cursor
from serving.scoring.outbox import Outbox
from warehouse.decision_log import Decision, DecisionQuery, FoundDecision, Place, search_decisions
from warehouse.errors import FormatError, LakeError, OutboxError
from warehouse.settings import Settings
from warehouse.values.formats import read_id


class DecisionReader:
    """Reads the outbox and, one query at a time in a thread, the lake; never for a score."""

    def __init__(self, settings: Settings, *, outbox: Outbox, own_only: bool):
        self._settings = settings
        self._outbox = outbox
        self._own_only = own_only
        self._turn = asyncio.Lock()

    async def find(self, decision_id: str, caller: Caller) -> Decision:
        """One decision; raises UnknownDecision, NotPermitted for another lender's, or Unavailable if uncertain."""
        found = await self._outbox.find_anywhere(decision_id)
        owner = self.only_of(caller)
        if found is None or (owner is not None and found.caller_id != owner):
            raise UnknownDecision(
                "No decision has that id" if owner is None else "No decision of this caller has that id"
            )
        require_reach(caller, found.source)
        return found

    async def page(
        self,
        caller: Caller,
        *,
        lender: str | None,
        application_id: str | None,
        borrower_id: str | None,
        cursor: str | None,
        limit: int,
    ) -> tuple[Sequence[FoundDecision], str | None]:
        """Up to ``limit`` decisions, newest first, and the next cursor; raises InvalidRequest and Unavailable."""
        query = DecisionQuery(
            n_rows=limit + 1,
            application_id=_id("application_id", application_id),
            borrower_id=_id("borrower_id", borrower_id),
            caller_id=self.only_of(caller),
            sources=self.lenders_of(caller, lender),
            before=_place(cursor) if cursor is not None else None,
        )
        found = await self._search(query)
        told = found[:limit]
        return told, _cursor(told[-1].place) if len(found) > limit else None

    async def require_own(self, lender: str, application_id: str, caller: Caller) -> None:
        """Raise UnknownApplication if this caller sees only their own decisions, and none is about it."""
        owner = self.only_of(caller)
        if owner is None:
            return
        query = DecisionQuery(n_rows=1, application_id=application_id, caller_id=owner, sources=(lender,))
        if not await self._search(query):
            raise UnknownApplication("This caller has scored no application with that id")

    def only_of(self, caller: Caller) -> str | None:
        """The caller whose decisions alone are visible; None for all."""
        return caller.caller_id if self._own_only and not caller.may("admin") else None

    def lenders_of(self, caller: Caller, lender: str | None) -> tuple[str, ...] | None:
        """The lenders whose decisions to show: one, those of the caller, or None for all."""
        if lender is not None:
            return (lender,)
        return tuple(sorted(caller.lenders)) if caller.lenders is not None else None

    async def _search(self, query: DecisionQuery) -> list[FoundDecision]:
        async with self._turn:
            try:
                return await asyncio.to_thread(search_decisions, self._settings, query)
            except (sqlite3.Error, OutboxError) as error:
                raise Unavailable(f"The decision log cannot be read: {error}") from error
            except LakeError as error:
                raise Unavailable(f"The lake cannot be read: {error}", retry_after_seconds=10) from error


def _id(name: str, sent: str | None) -> str | None:
    if sent is None:
        return None
    rule = "an id, and no word for a missing one"
    try:
        found = read_id(sent)
    except FormatError as error:
        found, rule = None, str(error)
    if found is None:
        raise InvalidRequest(
            f"The {name} cannot be read", (Violation(field=name, rule=f"must be {rule}", found=shown(sent)),)
        )
    return found


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place[0].isoformat()} {place[1]}".encode()).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        moment, _, decision_id = text.partition(" ")
        place = datetime.fromisoformat(moment), decision_id
    except (ValueError, binascii.Error):
        raise unknown_cursor(cursor) from None
    if _cursor(place) != cursor or place[0].tzinfo is not None:
        raise unknown_cursor(cursor)
    return place
