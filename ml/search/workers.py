"""Where folds are computed: in this process, or in several others, which end with it."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, Protocol, TypeVar

from ml.folds.plan import Fold
from ml.folds.rows import FoldRows
from ml.search.scoring import on_one_thread
from ml.training.fitting import TrainingSettings

Result = TypeVar("Result")
Work = Callable[[FoldRows, Fold, TrainingSettings], Result]
_rows: FoldRows | None = None


class Submit(Protocol):
    """Begin ``work`` on a fold."""

    def __call__(self, work: Work[Result], fold: Fold, settings: TrainingSettings) -> "Future[Result]":
        """The result to wait for."""


@contextmanager
def started(rows: FoldRows, n_workers: int) -> Iterator[Submit]:
    """``n_workers`` processes, each with its copy of the rows; with one, this process does the work."""
    if n_workers == 1:
        yield lambda work, fold, settings: _done(work(rows, fold, settings))
        return
    # fork would copy threads' locks; a spawned process starts clean
    pool: Executor = ProcessPoolExecutor(n_workers, get_context("spawn"), initializer=_begin, initargs=(rows,))
    try:
        yield lambda work, fold, settings: pool.submit(_work, work, fold, on_one_thread(settings))
    finally:
        pool.shutdown(cancel_futures=True)


def _done(result: Result) -> "Future[Result]":
    future: Future[Result] = Future()
    future.set_result(result)
    return future


def _begin(rows: FoldRows) -> None:
    global _rows  # noqa: PLW0603  # the pool's way to hand each process its rows once
    _rows = rows
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent closes no queue: its workers would wait forever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(work: "Work[Any]", fold: Fold, settings: TrainingSettings) -> Any:
    if _rows is None:
        raise RuntimeError("a worker has no rows")
    return work(_rows, fold, settings)
