"""Send events in a thread of its own: a receiver that is slow or down costs no step anything.

An event that could not be delivered is tried again, each time after a longer rest, and those behind it wait in order.
At the end of a run the thread has time for the rest, as long as it gets on; a warning says how many events were not
delivered, and why.
"""

import atexit
import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from typing import Any

from orchestration.lineage.columns import LakeColumns
from orchestration.lineage.graph import remembered
from warehouse.errors import LoanlakeError
from warehouse.settings import Settings
from warehouse.settings.variable import masked

log = logging.getLogger("loanlake.lineage")

_MOST_WAITING = 10_000
_REST_SECONDS = 1.0
_LONGEST_REST_SECONDS = 30.0
_SECONDS_WITHOUT_DELIVERY = 10.0
_SECONDS_AT_THE_END = 60.0
_TRIES_AT_THE_END = 3
_RUN_ENDS = {"PIPELINE_SUCCESS", "PIPELINE_FAILURE", "PIPELINE_CANCELED"}
#: A Dagster event of a run, and when it happened.
_Told = tuple[str, Any, float]


class Sender:
    """``translate`` makes events of what was told, and ``emit`` sends one; both may fail.

    At the end of a run it waits for the queue until nothing was delivered for ``seconds_without_delivery``, and never
    longer than ``seconds_at_the_end``.
    """

    def __init__(
        self,
        translate: Callable[[str, Any, float], Iterable[Any]],
        emit: Callable[[Any], None],
        *,
        rest_seconds: float = _REST_SECONDS,
        seconds_without_delivery: float = _SECONDS_WITHOUT_DELIVERY,
        seconds_at_the_end: float = _SECONDS_AT_THE_END,
    ):
        self._translate = translate
        self._emit = emit
        self._rest_seconds = rest_seconds
        self._seconds_without_delivery = seconds_without_delivery
        self._seconds_at_the_end = seconds_at_the_end
        self._waiting: queue.Queue[_Told] = queue.Queue(_MOST_WAITING)
        self._ending = threading.Event()
        self._is_down_at_the_end = False
        self._delivered_at = 0.0
        #: Events by what became of them: ``sent`` or ``lost``.
        self.counts: Counter[str] = Counter()
        self._reason = ""
        threading.Thread(target=self._run, name="openlineage", daemon=True).start()

    def tell(self, run_id: str, event: Any, at: float) -> None:
        """Queue a Dagster event; at the end of a run, wait for the queue, and say what was lost."""
        try:
            self._waiting.put_nowait((run_id, event, at))
        except queue.Full:
            self._lose(f"{_MOST_WAITING} events wait")
        if event.event_type_value in _RUN_ENDS:
            self.finish(run_id)

    def finish(self, run_id: str) -> None:
        """Wait for the queue as long as it gets on, and warn of events that were not delivered."""
        begun = time.monotonic()
        self._ending.set()
        while self._waiting.unfinished_tasks and self._may_wait(begun):
            time.sleep(0.02)
        n_lost = self.counts["lost"] + self._waiting.unfinished_tasks
        if n_lost:
            log.warning(
                "run %s: %d OpenLineage events were not delivered to %s, %d were: %s",
                run_id,
                n_lost,
                masked(os.environ.get("OPENLINEAGE_URL", "")),
                self.counts["sent"],
                masked(self._reason) or "the receiver is slow",
            )
        self.counts.clear()
        self._reason, self._is_down_at_the_end = "", False
        self._ending.clear()

    def _may_wait(self, begun: float) -> bool:
        now = time.monotonic()
        is_getting_on = now - max(begun, self._delivered_at) < self._seconds_without_delivery
        return is_getting_on and now - begun < self._seconds_at_the_end

    def _run(self) -> None:
        while True:
            told = self._waiting.get()
            try:
                for event in self._events(told):
                    self._deliver(event)
            finally:
                self._waiting.task_done()

    def _events(self, told: _Told) -> Sequence[Any]:
        try:
            return list(self._translate(*told))
        except Exception as error:
            # whatever fails here must not end the thread, and never a run
            self._lose(f"{type(error).__name__}: {error}")
            return ()

    def _deliver(self, event: Any) -> None:
        """Try until it is delivered, refused for itself, or the run has ended and the receiver is down."""
        rest, n_tries_at_the_end = self._rest_seconds, 0
        while not self._is_down_at_the_end:
            try:
                self._emit(event)
            except Exception as error:
                self._reason = f"{type(error).__name__}: {error}"[:300]
                if _is_refused(error):
                    break
                if self._ending.is_set():
                    n_tries_at_the_end += 1
                    self._is_down_at_the_end = n_tries_at_the_end >= _TRIES_AT_THE_END
                    time.sleep(self._rest_seconds)
                else:
                    self._ending.wait(rest)
                    rest = min(2 * rest, _LONGEST_REST_SECONDS)
            else:
                self.counts["sent"] += 1
                self._delivered_at = time.monotonic()
                return
        self.counts["lost"] += 1

    def _lose(self, reason: str) -> None:
        self.counts["lost"] += 1
        self._reason = reason[:300]


def _is_refused(error: Exception) -> bool:
    """Whether the receiver answered that it will never accept this event; others may still be accepted."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in (401, 403, 404, 408, 429)


@cache
def sender() -> Sender:
    """The sender of this process, to the receiver of the standard variables."""
    home = _Home()
    found = Sender(home.events, home.emit)
    atexit.register(found.finish, "at the end of the process")
    return found


class _Home:
    """Translator and client of the home, made in the sender's thread by the first event: importing them takes time."""

    def __init__(self) -> None:
        self._settings = Settings.from_environment()
        self._columns = LakeColumns(self._settings)

    def events(self, run_id: str, event: Any, at: float) -> Iterable[Any]:
        try:
            return list(self._made[0].events(run_id, event, at))
        finally:
            if event.event_type_value in _RUN_ENDS:
                self._columns.close()

    def emit(self, event: Any) -> None:
        self._made[1].emit(event)

    @cached_property
    def _made(self) -> tuple[Any, Any]:
        try:
            from openlineage.client import OpenLineageClient

            from orchestration.lineage.events import Translator
        except ModuleNotFoundError as error:
            raise LoanlakeError(f"{error}: pip install 'loanlake[openlineage]'") from None
        translator = Translator(
            remembered(),
            self._columns.of,
            lake=lake_namespace(self._settings),
            other=home_namespace(self._settings),
        )
        return translator, OpenLineageClient()


def lake_namespace(settings: Settings) -> str:
    """Where the lake is, by OpenLineage's naming: its home, or the catalog's server without user and password."""
    if settings.catalog is None:
        return f"ducklake://{settings.home}"
    words = dict(word.split("=", 1) for word in settings.catalog.split() if "=" in word)
    server = f"{words.get('host', 'localhost')}:{words.get('port', '5432')}"
    return f"ducklake://{server}/{words.get('dbname', 'postgres')}"


def home_namespace(settings: Settings) -> str:
    """The namespace of assets that are not tables: models, deployments, the online store."""
    return settings.home.as_uri()
