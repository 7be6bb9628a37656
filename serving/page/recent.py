"""The newest decisions for the page, cheap enough for frequent reloads."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence

from serving.http.public_text import without_paths
from serving.page.views import Listed
from warehouse import decision_log
from warehouse.decision_log import Decision, DecisionQuery, FoundDecision, search_decisions
from warehouse.errors import LoanlakeError
from warehouse.settings import Settings

N_SHOWN = 15
#: Seconds between two queries of the lake, which read a table of years.
_LAKE_SECONDS = 60.0


class RecentDecisions:
    """From the outbox, or the lake if it is empty; one query at a time."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._turn = asyncio.Lock()
        self._of_lake: tuple[float, Sequence[FoundDecision]] | None = None

    async def newest(self, only_of: str | None) -> Listed:
        """The newest decisions, of all or one caller, or why they cannot be read."""
        async with self._turn:
            try:
                found = await asyncio.to_thread(self._find, only_of)
            except (sqlite3.Error, OSError, LoanlakeError) as error:
                reason = without_paths(str(error), self._settings.home)
                return Listed(problem=f"Recent decisions cannot be read: {reason}")
        return Listed(found)

    def _find(self, only_of: str | None) -> Sequence[Decision | FoundDecision]:
        if only_of is not None:
            return search_decisions(self._settings, DecisionQuery(n_rows=N_SHOWN, caller_id=only_of))
        found = decision_log.newest_in_outbox(self._settings, N_SHOWN)
        if found:
            return found
        if self._of_lake is None or time.monotonic() - self._of_lake[0] > _LAKE_SECONDS:
            self._of_lake = time.monotonic(), decision_log.newest_in_lake(self._settings, N_SHOWN)
        return self._of_lake[1]
