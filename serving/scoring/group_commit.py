"""Durable before 200: rows of concurrent requests share one transaction.

A commit with ``synchronous=full`` costs about 1.5 ms for one row or sixty-four. One commit runs at a time, in a thread,
and rows that arrive during it wait for the next: alone a request pays one commit, under load a sixteenth.
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
    """Too many rows wait to become durable; the caller sheds load."""


class _Waiting(msgspec.Struct, Generic[Row], frozen=True, eq=False):
    rows: Sequence[Row]
    durable: "asyncio.Future[None]"


_Batch = list[_Waiting[Row]]


class GroupCommit(Generic[Row]):
    """Hands rows to ``commit`` in batches of up to ``most_at_once`` requests, in order of arrival.

    ``commit`` runs in this object's only thread, so it may own a SQLite connection. If it raises, every request of the
    batch gets the error, and the next batch is tried.
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
        """Rows not yet durable."""
        return self._n_waiting

    async def add(self, rows: Sequence[Row]) -> None:
        """Return when the rows are durable, all in one transaction.

        Raises TooManyWaiting immediately, or what ``commit`` raised. A cancelled caller's rows may be durable without
        an answer, never the other way round.
        """
        if self._n_waiting + len(rows) > self._most_waiting:
            raise TooManyWaiting(f"{self._n_waiting} decisions wait to be written; the limit is {self._most_waiting}")
        loop = asyncio.get_running_loop()
        durable: asyncio.Future[None] = loop.create_future()
        self._queue.append(_Waiting(rows, durable))
        self._n_waiting += len(rows)
        if not self._is_committing:
            self._is_committing = True
            loop.call_soon(self._hand_over, loop)  # lets other rows of this turn of the loop join
        await durable

    async def close(self) -> None:
        """Make waiting rows durable, then end the thread."""
        while self._is_committing:
            with suppress(Exception):  # raised to those who wait for these rows
                await self.add([])
        if self._thread is not None:
            self._handed.put(None)
            self._thread.join()
            self._thread = None

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._thread is None:
            # a daemon, which no exit waits for
            self._thread = Thread(target=self._work, name="outbox", daemon=True)
            self._thread.start()
        # a queue and one callback cost a third of an executor's futures
        self._handed.put((loop, [self._queue.popleft() for _ in range(min(len(self._queue), self._most_at_once))]))

    def _work(self) -> None:
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
