"""Durable before 200: rows of concurrent requests share one transaction.

A commit with ``synchronous=full`` costs about 1.5 ms whether it carries one row or sixty-four. So one commit runs at a
time, in a thread of its own, and rows that arrive meanwhile wait for the next: alone a request pays one commit, and
under load a sixteenth of one.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")


class TooManyWaiting(Exception):
    """More rows wait to become durable than the limit; the caller sheds load."""


@dataclass(frozen=True)
class _Waiting(Generic[Row]):
    rows: Sequence[Row]
    durable: "asyncio.Future[None]"


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
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._task: asyncio.Task[None] | None = None

    @property
    def n_waiting(self) -> int:
        """Rows handed in and not yet durable."""
        return self._n_waiting

    async def add(self, rows: Sequence[Row]) -> None:
        """Return when the rows are durable, all of them in one transaction.

        Raises TooManyWaiting at once, or what ``commit`` raised. A caller that is cancelled while it waits does not
        take its rows back: they may be durable without an answer, never the other way round.
        """
        if self._n_waiting + len(rows) > self._most_waiting:
            raise TooManyWaiting(f"{self._n_waiting} decisions wait to be written; the limit is {self._most_waiting}")
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(rows, durable))
        self._n_waiting += len(rows)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        await durable

    async def close(self) -> None:
        """Make durable what still waits, then end the thread."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
        self._thread.shutdown(wait=True)

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._most_at_once))]
            rows = [row for waiting in batch for row in waiting.rows]
            error: Exception | None = None
            try:
                await loop.run_in_executor(self._thread, self._commit, rows)
            except Exception as raised:  # each waiting request gets it, whatever it is
                error = raised
            self._n_waiting -= len(rows)
            for waiting in batch:
                if waiting.durable.cancelled():
                    continue
                if error is None:
                    waiting.durable.set_result(None)
                else:
                    waiting.durable.set_exception(error)
