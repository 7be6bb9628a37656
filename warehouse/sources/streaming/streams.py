"""The streams that lenders' files declare, read in turn by one process that outlives what is wrong with one of them."""

import difflib
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from warehouse.errors import LoanlakeError, SettingError, StreamError
from warehouse.lake import connection as lake
from warehouse.lenders.rules import broken_lenders, lenders_of_project, read_lender
from warehouse.settings import Settings
from warehouse.sources.ingest import IngestResult
from warehouse.sources.streaming.client import require_client
from warehouse.sources.streaming.lag import StreamLag, write_lag
from warehouse.sources.streaming.stream import Declared, Stream, opened
from warehouse.sources.target import target_of

log = logging.getLogger("loanlake")
Report = Callable[[IngestResult], object]
#: How long `--once` waits for a topic of which it hears nothing.
_MOST_SILENT_SECONDS = 60.0
_SECONDS_A_LOOK = 0.5
_SECONDS_BETWEEN_LAGS = 5.0
_LONGEST_PAUSE = 60.0


def declared_streams(settings: Settings, source: str | None = None, entity: str | None = None) -> list[Declared]:
    """The streams of one lender or of all, or one of them.

    Raises SettingError for one that is not declared, or a lender whose file cannot be read if it is named.
    """
    names = [source] if source is not None else sorted(lenders_of_project() - broken_lenders().keys())
    found = [
        Declared(target_of(name, each), settings, lender.connections[stream.connection], stream)
        for name, lender in ((name, read_lender(name)) for name in names)
        for each, stream in lender.streams.items()
        if entity is None or each == entity
    ]
    if source is not None and not found:
        lender = read_lender(source)
        near = difflib.get_close_matches(entity or "", lender.streams, n=1)
        what = f"{entity}{f', did you mean {near[0]}?' if near else ''}" if entity else "none"
        raise SettingError(
            f"{lender.path} must declare what is read for {source}, under `connections` and `streams`: found {what} "
            f"among {', '.join(lender.streams) or 'no streams'}; docs/streams.md shows how"
        )
    return found


def drain(streams: Sequence[Declared], say: Callable[[str], object], report: Report) -> None:
    """Load what the topics have, and return. Raises the first error after all were tried."""
    _begin(streams)
    failed: list[LoanlakeError] = []
    for declared in streams:
        try:
            _drain(declared, say, report)
        except LoanlakeError as error:
            failed.append(error)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise StreamError(f"{len(failed)} of {len(streams)} streams failed: {'; '.join(map(str, failed))}")


def follow(
    streams: Sequence[Declared],
    say: Callable[[str], object],
    report: Report,
    *,
    is_over: Callable[[], bool],
    unserved_seconds: Callable[[], float] = lambda: 0.0,
) -> None:
    """Load messages as they come, until ``is_over``. A stream that fails is tried again, and the others go on.

    ``unserved_seconds``: since when the online store lacks rows of these streams, for :class:`.StreamLag`.
    """
    _begin(streams)
    with ExitStack() as stack:
        followed = [stack.enter_context(_Followed(declared, say, report, unserved_seconds)) for declared in streams]
        while not is_over():
            for each in followed:
                each.step(_SECONDS_A_LOOK / len(followed))


def _begin(streams: Sequence[Declared]) -> None:
    require_client()
    for declared in streams:
        if not lake.lake_exists(declared.settings):
            with lake.writer(f"stream {declared.name}", declared.settings):
                pass  # to ask it where reading begins


def _drain(declared: Declared, say: Callable[[str], object], report: Report) -> None:
    with opened(declared, say, shares=False) as stream:
        heard, n_heard = time.monotonic(), 0
        while not stream.is_drained:
            result = stream.step(_SECONDS_A_LOOK, until_end=True)
            if result is not None:
                report(result)
            if stream.n_heard > n_heard:
                heard, n_heard = time.monotonic(), stream.n_heard
            elif time.monotonic() - heard > _MOST_SILENT_SECONDS:
                raise StreamError(
                    f"{declared.name}: {declared.stream.address} must answer: found nothing in "
                    f"{_MOST_SILENT_SECONDS:.0f} s ({stream.lag().problem or 'no error'})"
                )


class _Followed:
    """One stream of several: opened, and after an error opened again, later each time."""

    def __init__(
        self, declared: Declared, say: Callable[[str], object], report: Report, unserved_seconds: Callable[[], float]
    ) -> None:
        self._declared, self._say, self._report = declared, say, report
        self._unserved_seconds = unserved_seconds
        self._open = ExitStack()
        self._stream: Stream | None = None
        self._not_before = self._said_at = 0.0
        self._pause = 1.0
        self._problem = ""

    def __enter__(self) -> "_Followed":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def step(self, seconds: float) -> None:
        try:
            self._step(seconds)
        except LoanlakeError as error:
            self._fail(str(error))
        except Exception as error:  # of the client or the lake: the other streams go on
            log.exception("a stream failed")
            self._fail(f"{self._declared.name}: {type(error).__name__}: {error}")
        if time.monotonic() - self._said_at >= _SECONDS_BETWEEN_LAGS:
            write_lag(self._declared.settings, self._lag())
            self._said_at = time.monotonic()

    def _step(self, seconds: float) -> None:
        if self._stream is None:
            if time.monotonic() < self._not_before:
                time.sleep(seconds)
                return
            self._stream = self._open.enter_context(opened(self._declared, self._say))
        result = self._stream.step(seconds)
        if result is not None:
            self._pause, self._problem = 1.0, ""
            self._report(result)

    def _fail(self, problem: str) -> None:
        if problem != self._problem:
            self._say(f"{problem}. It is tried again")
        self._problem, self._stream = problem, None
        self._open.close()
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._not_before = time.monotonic() + self._pause

    def _lag(self) -> StreamLag:
        target = self._declared.target
        found = (
            StreamLag(target.source, target.entity, at=time.time(), problem=self._problem)
            if self._stream is None
            else self._stream.lag()
        )
        return replace(found, unserved_seconds=self._unserved_seconds())
