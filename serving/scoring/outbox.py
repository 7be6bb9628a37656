"""The API's side of the decision log: a write is durable when the call returns, or the call raises."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from serving.http.problems import Unavailable
from serving.scoring.group_commit import GroupCommit, TooManyWaiting
from serving.telemetry.metrics import Metrics
from warehouse import decision_log
from warehouse.decision_log import Backlog, Decision, ReportedOutcome, ScoringFailure, ShadowDecision, handover
from warehouse.decision_log.second_copy import SecondCopy
from warehouse.errors import LakeError, NotFoundError, TeamError
from warehouse.settings import Settings
from warehouse.team import TeamServer

_Found = TypeVar("_Found")
#: The key had a decision when this one came, and none when it was read: pruned or erased in between.
_KEY_FREED = "The Idempotency-Key became free at this moment, and nothing was decided: retry"

log = logging.getLogger("loanlake.serving")


class _Keyed(msgspec.Struct, frozen=True):
    """A decision on a request that came with a key."""

    key_id: str
    decision: Decision


Entry = Decision | ReportedOutcome | ScoringFailure | _Keyed


class Outbox:
    """Appends from the event loop by group commit; reads directly, since a thread would cost more than the read.

    ``problem``: why the last transaction failed; None while they succeed.
    """

    def __init__(self, settings: Settings, *, metrics: Metrics, most_waiting: int):
        self._settings = settings
        self._metrics = metrics
        self._team = TeamServer(settings, "decisions on keys") if settings.catalog is not None else None
        self._commits: GroupCommit[Entry] = GroupCommit(self._commit, most_waiting=most_waiting)
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        folder = settings.decision_copy
        self._copy = None if folder is None else SecondCopy(folder, settings.decision_copy_disk)
        self._lake_turn = asyncio.Lock()
        self._written: int | None = None
        self.problem: str | None = None

    @property
    def n_waiting(self) -> int:
        """Rows not yet durable."""
        return self._commits.n_waiting

    async def add_decisions(self, decisions: Sequence[Decision]) -> None:
        """Return when all are durable; raises Unavailable."""
        await self._add(decisions)
        for decision in decisions:
            self._metrics.count_prediction(decision)

    async def add_keyed(self, key_id: str, decision: Decision) -> Decision:
        """Return, once durable, the key's decision: an earlier one if it exists. Raises Unavailable."""
        if self._team is not None:
            return await self._add_keyed_in_team(self._team, key_id, decision)
        await self._add([_Keyed(key_id, decision)])
        kept = self.find_by_key(key_id)
        if kept is None:
            raise Unavailable(_KEY_FREED)
        if kept.decision_id == decision.decision_id:
            self._metrics.count_prediction(decision)
        return kept

    async def decision_of_key(self, key_id: str) -> Decision | None:
        """The key's decision, on whichever machine of a team it was made; raises Unavailable."""
        return self.find_by_key(key_id) if self._team is None else await self._of_key_in_team(self._team, key_id)

    async def _add_keyed_in_team(self, team: TeamServer, key_id: str, decision: Decision) -> Decision:
        is_new = await _answered(team, lambda con: handover.add_keyed(con, self._settings, key_id, decision))
        kept = None if is_new else await self._of_key_in_team(team, key_id)
        if not is_new and kept is None:
            raise Unavailable(_KEY_FREED)
        if kept is None or kept.decision_id == decision.decision_id:
            self._metrics.count_prediction(decision)
            return decision
        return kept

    async def _of_key_in_team(self, team: TeamServer, key_id: str) -> Decision | None:
        found = await _answered(team, lambda con: handover.decision_of_key(con, key_id))
        if found is None:
            return None
        decision_id, payload = found
        if payload is not None:
            return msgspec.msgpack.decode(payload, type=Decision)
        kept = await self.find_anywhere(decision_id)
        if kept is None:
            raise Unavailable(
                "The first decision on this Idempotency-Key cannot be found: retry", retry_after_seconds=10
            )
        return kept

    async def add_shadows(self, shadows: Sequence[ShadowDecision]) -> None:
        """Return when these are durable; raises Unavailable."""
        if shadows:
            await self._add(shadows)
        for shadow in shadows:
            self._metrics.count_prediction(shadow)

    async def add(self, entry: ReportedOutcome | ScoringFailure) -> None:
        """Return when it is durable; raises Unavailable."""
        await self._add([entry])

    def find(self, decision_id: str) -> Decision | None:
        """A decision still in the outbox; raises Unavailable if it is unreadable. About 20 microseconds."""
        return self._find(decision_log.find_in_outbox, decision_id)

    def find_by_key(self, key_id: str) -> Decision | None:
        """The key's decision, while the outbox holds it; as :meth:`find`."""
        return self._find(decision_log.find_by_key, key_id)

    def _find(self, find: Callable[[sqlite3.Connection, str], Decision | None], name: str) -> Decision | None:
        try:
            if self._reader is None:
                self._reader = decision_log.connect(self._settings)
            return find(self._reader, name) if self._reader else None
        except sqlite3.Error as error:
            self._reader = None
            raise Unavailable(f"The decision log cannot be read: {error}") from error

    async def find_anywhere(self, decision_id: str) -> Decision | None:
        """A decision from outbox or lake (one query at a time), never for a score; raises Unavailable."""
        found = self.find(decision_id)
        if found is not None:
            return found
        async with self._lake_turn:
            try:
                found = await asyncio.to_thread(decision_log.find_decision, self._settings, decision_id)
            except NotFoundError:
                return None
            except TeamError as error:
                raise Unavailable(str(error), retry_after_seconds=10) from error
            except LakeError as error:
                raise Unavailable(f"The lake cannot be read: {error}", retry_after_seconds=10) from error
        # a shadow score is not a decision, and no caller sees it
        return None if isinstance(found, ShadowDecision) else found

    def backlog(self) -> Mapping[str, Backlog]:
        """What the lake lacks, by kind of entry; raises sqlite3.Error if unreadable. 50 microseconds."""
        if self._reader is None:
            self._reader = decision_log.connect(self._settings)
        return decision_log.backlog(self._reader) if self._reader else {}

    async def check(self) -> str | None:
        """Why decisions cannot be made durable, or None; writes only after a failed transaction."""
        is_settled = self.problem is None and self._writer is not None and self._is_in_place()
        if not is_settled:
            try:
                await self._commits.add([])
            except (sqlite3.Error, OSError):
                return self.problem
        return None

    async def close(self) -> None:
        """Make waiting rows durable, then close the file."""
        await self._commits.close()
        if self._team is not None:
            self._team.close()
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()

    async def _add(self, rows: Sequence[Entry]) -> None:
        try:
            await self._commits.add(rows)
        except TooManyWaiting as error:
            raise Unavailable(f"Too many decisions wait for the disk: {error}") from None
        except (sqlite3.Error, OSError) as error:
            raise Unavailable("The decision could not be stored, so none was made: retry") from error

    def _commit(self, rows: list[Entry]) -> None:
        started = time.perf_counter()
        try:
            if self._writer is None:
                # the event loop's thread closes it, after this one has ended
                self._writer = decision_log.create(self._settings, check_same_thread=False)
                self._written = _inode(self._settings.outbox)
            if not self._is_in_place():
                raise _NotInPlace(
                    "it was removed or replaced while the API wrote to it: put it back and restart the API"
                )
            if rows:
                decision_log.append(
                    self._writer,
                    [row for row in rows if isinstance(row, Decision) and not isinstance(row, ShadowDecision)],
                    [row for row in rows if isinstance(row, ReportedOutcome)],
                    [row for row in rows if isinstance(row, ShadowDecision)],
                    [row for row in rows if isinstance(row, ScoringFailure)],
                    keyed=[(row.key_id, row.decision) for row in rows if isinstance(row, _Keyed)],
                    before_commit=None if self._copy is None else partial(self._copy_elsewhere, self._writer, rows),
                )
            else:
                _write_nothing(self._writer)
                self._copy_elsewhere(self._writer, [])
            if self._copy is not None:
                self._copy.settle()
        except (sqlite3.Error, OSError) as error:
            if self._copy is not None:
                self._copy.take_back()
            self.problem = f"the decision log {self._settings.outbox} cannot be written: {error}"
            self._metrics.commit_failures.inc()
            log.error("commit failed", extra={"reason": str(error), "rows": len(rows)})
            if not isinstance(error, _NotInPlace):  # the removed file is all there is of the last decisions
                self._writer = None
            raise
        self.problem = None
        self._metrics.commit_seconds.observe(time.perf_counter() - started)
        self._metrics.commit_rows.observe(len(rows))

    def _copy_elsewhere(self, writer: sqlite3.Connection, rows: Sequence[Entry]) -> None:
        if self._copy is None:
            return
        kept: list[tuple[str | None, Any]] = []
        for row in rows:
            if not isinstance(row, _Keyed):
                kept.append((None, row))
            # a restore must not find one that was left out because another process was first with the key
            elif decision_log.find_in_outbox(writer, row.decision.decision_id) is not None:
                kept.append((row.key_id, row.decision))
        try:
            self._copy.append(kept)
        except OSError as error:
            raise OSError(
                f"its second copy in {self._settings.decision_copy} (LOANLAKE_DECISION_COPY): {error}"
            ) from error

    def _is_in_place(self) -> bool:
        """Whether the file still has its name: SQLite also writes to a removed or replaced one."""
        return _inode(self._settings.outbox) == self._written


async def _answered(team: TeamServer, do: Callable[[Any], _Found]) -> _Found:
    try:
        return await asyncio.to_thread(team.call, do)
    except TeamError as error:
        raise Unavailable(
            f"A request with an Idempotency-Key cannot be answered now; nothing was decided: {error}",
            retry_after_seconds=10,
        ) from error


class _NotInPlace(OSError):
    """New entries would go to a file without a name."""


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _write_nothing(connection: sqlite3.Connection) -> None:
    """Test that the disk accepts a transaction, without changing anything."""
    (version,) = connection.execute("pragma user_version").fetchone()
    connection.execute(f"pragma user_version = {int(version)}")
