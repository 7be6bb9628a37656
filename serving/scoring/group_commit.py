"""Durable before 200: rows of concurrent requests share one transaction.

A commit with ``synchronous=full`` costs about 1.5 ms whether it carries one row or sixty-four. So one commit runs at a
time, in a thread of its own, and rows that arrive meanwhile wait for the next: alone a request pays one commit, and
under load a sixteenth of one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

import msgspec

Row = TypeVar("Row")


class TooManyWaiting(Exception):
    """More rows wait to become durable than the limit; the caller sheds load."""


class _Waiting(msgspec.Struct, Generic[Row], frozen=True, eq=False):
    rows: Sequence[Row]
    durable: "asyncio.Future[None]"


_Batch = list[_Waiting[Row]]


class GroupCommit(Generic[Row]):
    """Hands rows to ``commit`` in batches of up to ``most_at_once`` requests, in the order they came.

    ``commit`` runs in this object's only thread, so it may own a SQLite connection. When it raises, every request of
    that batch gets the error, and the next batch is tried all the same.
    """

    def __init__(self, commit: Callable[[list[Row]], None], *, most_waiting: int, most_at_once: int = 256):
        self._commit = commit
        self._most_waiting = most_waiting
        self._most_at_once = most_at_once
        self._queue: deque[_Waiting[Row]] = deque()
        self._n_waiting = 0
        self._is_committing = False
        self._handed: SimpleQueue[tuple[asyncio.AbstractEventLoop, _Batch[Row]] | None] = SimpleQueue()
        self._thread: Thread | None = None

    @property
    def n_waiting(self) -> int:
        """Rows handed in and not yet durable."""
        return self._n_waiting

    async def add(self, rows: Sequence[Row]) -> None:
        """Return when the rows are durable, all of them in one transaction.

        Raises TooManyWaiting immediately, or what ``commit`` raised. A caller that is cancelled while it waits does not
        take its rows back: they may be durable without an answer, never the other way round.
        """
        if self._n_waiting + len(rows) > self._most_waiting:
            raise TooManyWaiting(f"{self._n_waiting} decisions wait to be written; the limit is {self._most_waiting}")
        loop = asyncio.get_running_loop()
        durable: asyncio.Future[None] = loop.create_future()
        self._queue.append(_Waiting(rows, durable))
        self._n_waiting += len(rows)
        if not self._is_committing:
            self._is_committing = True
            loop.call_soon(self._hand_over, loop)  # not immediately: other rows of this turn of the loop join it
        await durable

    async def close(self) -> None:
        """Make durable what still waits, then end the thread."""
        while self._is_committing:
            with suppress(Exception):  # raised to those who wait for these rows
                await self.add([])
        if self._thread is not None:
            self._handed.put(None)
            self._thread.join()
            self._thread = None

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._thread is None:
            # a daemon: whoever ends without closing this waits for no row either
            self._thread = Thread(target=self._work, name="outbox", daemon=True)
            self._thread.start()
        # a queue and one call back cost a third of an executor's futures
        self._handed.put((loop, [self._queue.popleft() for _ in range(min(len(self._queue), self._most_at_once))]))

    def _work(self) -> None:
        """In the thread."""
        while (handed := self._handed.get()) is not None:
            loop, batch = handed
            error: Exception | None = None
            try:
                self._commit([row for waiting in batch for row in waiting.rows])
            except Exception as raised:  # each waiting request gets it, whatever it is
                error = raised
            loop.call_soon_threadsafe(self._tell, loop, batch, error)

    def _tell(self, loop: asyncio.AbstractEventLoop, batch: _Batch[Row], error: Exception | None) -> None:
        for waiting in batch:
            self._n_waiting -= len(waiting.rows)
            if waiting.durable.cancelled():
                continue
            if error is None:
                waiting.durable.set_result(None)
            else:
                waiting.durable.set_exception(error)
        if self._queue:
            self._hand_over(loop)
        else:
            self._is_committing = False
