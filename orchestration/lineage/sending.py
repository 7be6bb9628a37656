"""Send events in a thread of its own: a receiver that is slow or down costs no step anything.

After a failed delivery the receiver gets a rest; what happens meanwhile is not sent. At the end of a run the thread has
a few seconds for the rest, and a warning says how many events were not delivered, and why.
"""

import atexit
import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import cache, cached_property, partial
from typing import Any

from orchestration.lineage.graph import remembered
from warehouse.errors import LoanlakeError
from warehouse.lake.connection import connect
from warehouse.settings import Settings

log = logging.getLogger("loanlake.lineage")

_MOST_WAITING = 10_000
_REST_SECONDS = 30.0
_SECONDS_AT_THE_END = 10.0
_RUN_ENDS = {"PIPELINE_SUCCESS", "PIPELINE_FAILURE", "PIPELINE_CANCELED"}
#: A Dagster event of a run, and when it happened.
_Told = tuple[str, Any, float]


class Sender:
    """``translate`` makes events of what was told, and ``emit`` sends one; both may fail."""

    def __init__(
        self,
        translate: Callable[[str, Any, float], Iterable[Any]],
        emit: Callable[[Any], None],
        *,
        rest_seconds: float = _REST_SECONDS,
        seconds_at_the_end: float = _SECONDS_AT_THE_END,
    ):
        self._translate = translate
        self._emit = emit
        self._rest_seconds = rest_seconds
        self._seconds_at_the_end = seconds_at_the_end
        self._waiting: queue.Queue[_Told] = queue.Queue(_MOST_WAITING)
        self._resting_until = 0.0
        #: Events by what became of them: ``sent`` or ``lost``.
        self.counts: Counter[str] = Counter()
        self._reason = ""
        threading.Thread(target=self._run, name="openlineage", daemon=True).start()

    def tell(self, run_id: str, event: Any, at: float) -> None:
        """Queue a Dagster event; at the end of a run, wait a few seconds for the queue, and say what was lost."""
        try:
            self._waiting.put_nowait((run_id, event, at))
        except queue.Full:
            self._lose(f"{_MOST_WAITING} events wait")
        if event.event_type_value in _RUN_ENDS:
            self.finish(run_id)

    def finish(self, run_id: str) -> None:
        """Wait a few seconds for the queue, and warn of events that were not delivered."""
        deadline = time.monotonic() + self._seconds_at_the_end
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.02)
        n_lost = self.counts["lost"] + self._waiting.unfinished_tasks
        if n_lost:
            log.warning(
                "run %s: %d OpenLineage events were not delivered to %s, %d were: %s",
                run_id,
                n_lost,
                os.environ.get("OPENLINEAGE_URL"),
                self.counts["sent"],
                self._reason or "the receiver is slow",
            )
        self.counts.clear()

    def _run(self) -> None:
        while True:
            told = self._waiting.get()
            try:
                self._send(*told)
            finally:
                self._waiting.task_done()

    def _send(self, run_id: str, event: Any, at: float) -> None:
        if time.monotonic() < self._resting_until:
            self.counts["lost"] += 1
            return
        try:
            for each in self._translate(run_id, event, at):
                self._emit(each)
                self.counts["sent"] += 1
        except Exception as error:
            # whatever fails here must not end the thread, and never a run
            self._lose(f"{type(error).__name__}: {error}")
            self._resting_until = time.monotonic() + self._rest_seconds

    def _lose(self, reason: str) -> None:
        self.counts["lost"] += 1
        self._reason = reason[:300]


@cache
def sender() -> Sender:
    """The sender of this process, to the receiver of the standard variables."""
    home = _Home()
    found = Sender(home.events, home.emit)
    atexit.register(found.finish, "at the end of the process")
    return found


class _Home:
    """Translator and client of the home, made in the sender's thread by the first event: importing them takes time."""

    def events(self, run_id: str, event: Any, at: float) -> Iterable[Any]:
        found: Iterable[Any] = self._made[0].events(run_id, event, at)
        return found

    def emit(self, event: Any) -> None:
        self._made[1].emit(event)

    @cached_property
    def _made(self) -> tuple[Any, Any]:
        try:
            from openlineage.client import OpenLineageClient

            from orchestration.lineage.events import Translator
        except ModuleNotFoundError as error:
            raise LoanlakeError(f"{error}: pip install 'loanlake[openlineage]'") from None
        settings = Settings.from_environment()
        translator = Translator(
            remembered(),
            partial(columns_of, settings),
            lake=lake_namespace(settings),
            other=home_namespace(settings),
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


def columns_of(settings: Settings, name: str) -> Sequence[tuple[str, str, str | None]] | None:
    """A lake table's columns, with their comments; None if there is no such table now."""
    schema, _, table = name.partition(".")
    with closing(connect(settings)) as con:
        found = con.execute(
            "select column_name, data_type, comment from duckdb_columns() "
            "where database_name = 'lake' and schema_name = $1 and table_name = $2 order by column_index",
            [schema, table],
        ).fetchall()
    return [(str(column), str(kind), comment) for column, kind, comment in found] or None
