"""Decisions to a lender's topic: after they are in the decision log, and never in the way of a request.

1. The outbox says which decisions come next (:mod:`warehouse.decision_log.publication`).
2. Each becomes a message, keyed by its application: those of one application stay in their order.
3. Once the servers have acknowledged all of them, the cursor moves.

Killed between the second and the third step, the next process sends them again: at least once, and none is left out.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from warehouse.decision_log import outbox
from warehouse.decision_log.publication import (
    PublishedDecision,
    Waiting,
    begin_publication,
    next_unpublished,
    note_published,
    waiting,
)
from warehouse.errors import LakeBusyError, LoanlakeError, SettingError, StreamError
from warehouse.files.turns import file_turn_if_free
from warehouse.lenders.connections import ConnectionSettings
from warehouse.lenders.rules import broken_lenders, lenders_of_project, read_lender
from warehouse.lenders.streams import DECISIONS_TO, DecisionTopic
from warehouse.settings import Settings
from warehouse.sources.streaming.client import client_settings, require_client
from warehouse.sources.streaming.lag import StreamLag, write_lag

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

_AT_ONCE = 500
_SECONDS_A_LOOK = 0.25
_SECONDS_BETWEEN_LAGS = 5.0
_LONGEST_PAUSE = 60.0
_SECONDS_TO_END = 5.0
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Publication:
    """The decisions of one lender, and where they go."""

    source: str
    settings: Settings
    connection: ConnectionSettings
    topic: DecisionTopic

    @property
    def name(self) -> str:
        """The lender and what is published, for people."""
        return f"decisions of {self.source}"


def declared_publications(settings: Settings, source: str | None = None) -> list[Publication]:
    """Those of one lender or of all; raises SettingError in a team, whose decisions leave a machine's disk soon."""
    names = [source] if source is not None else sorted(lenders_of_project() - broken_lenders().keys())
    found = [
        Publication(name, settings, lender.connections[lender.decisions_to.connection], lender.decisions_to)
        for name, lender in ((name, read_lender(name)) for name in names)
        if lender.decisions_to is not None
    ]
    if found and settings.catalog is not None:
        raise SettingError(
            f"decisions_to must be absent for {', '.join(each.source for each in found)} in a team (LOANLAKE_CATALOG): "
            "decisions are published from the log of one machine, which a team's machines hand over; read "
            "serving.predictions instead"
        )
    return found


class Publisher:
    """Publishes one lender's decisions: :meth:`step` again and again. :func:`opened` is the way to one."""

    def __init__(self, declared: Publication, log: sqlite3.Connection) -> None:
        self._declared, self._log = declared, log
        self._failed: list[KafkaError] = []
        self._heard = ""
        begin_publication(log, declared.source, declared.topic.address)
        self._producer = self._made()

    def step(self) -> int | None:
        """Publish the next decisions; their number, or None if there are none. Raises StreamError, and none counts."""
        found = next_unpublished(self._log, self._declared.source, _AT_ONCE)
        if found is None:
            return None
        if found.decisions:
            self._send(found.decisions)
        note_published(self._log, self._declared.source, found.up_to)
        return len(found.decisions)

    def _made(self) -> "Producer":
        from confluent_kafka import Producer

        declared = self._declared
        return Producer(
            client_settings(declared.topic.connection, declared.connection)
            | {
                # all replicas have a message, and it keeps its place, before it counts
                "enable.idempotence": True,
                "message.timeout.ms": declared.connection.timeout_seconds * 1000,
                # as clients in Java choose it
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "error_cb": self._warned,
                # each try of a server that is down would be a line; an error says why nothing was acknowledged
                "log_level": 2,
            }
        )

    def _send(self, decisions: Sequence[PublishedDecision]) -> None:
        declared, self._failed, self._heard = self._declared, [], ""
        for each in decisions:
            self._producer.produce(
                declared.topic.topic, key=each.application_id.encode(), value=_encode(each), on_delivery=self._delivered
            )
        n_left = self._producer.flush(declared.connection.timeout_seconds + 1)
        if n_left or self._failed:
            found = self._failed[0].str() if self._failed else f"no answer in {declared.connection.timeout_seconds} s"
            why = f"{found} ({self._heard})" if self._heard else found
            raise StreamError(
                f"{declared.name}: {declared.topic.address} must acknowledge {len(decisions):,} messages: found "
                f"{why}. They are sent again"
            )

    def _warned(self, error: "KafkaError") -> None:
        self._heard = self._heard or error.str()

    def _delivered(self, error: "KafkaError | None", _message: "Message") -> None:
        if error is not None:
            self._failed.append(error)


@contextmanager
def opened(declared: Publication) -> Iterator[Publisher | None]:
    """A publisher, or None as long as no decision was ever logged; raises LakeBusyError if another process has it."""
    lock = declared.settings.home / "locks" / f"publish-{declared.source}.lock"
    with file_turn_if_free(lock) as is_ours:
        if not is_ours:
            raise LakeBusyError(f"one process publishes the {declared.name}: another does; end it first")
        log = outbox.connect(declared.settings)
        if log is None:
            yield None
            return
        with closing(log):
            yield Publisher(declared, log)


def publish_all(publications: Sequence[Publication], say: Callable[[str], object]) -> None:
    """Publish what the log has, and return; raises StreamError for the first topic that does not get it."""
    require_client()
    for declared in publications:
        n_published = 0
        with opened(declared) as publisher:
            while publisher is not None and (n_sent := publisher.step()) is not None:
                n_published += n_sent
        say(f"{declared.name}: {n_published:,} published to {declared.topic.address}")


class Publishing:
    """A thread that publishes one lender's decisions as they come, and outlives what is wrong with the topic."""

    def __init__(self, declared: Publication, say: Callable[[str], object]) -> None:
        self._declared, self._say = declared, say
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"publish-{declared.source}", daemon=True)
        self._problem, self._pause, self._said_at = "", 1.0, 0.0

    def start(self) -> None:
        """Begin; raises SettingError without the client."""
        require_client()
        self._thread.start()

    def end(self) -> None:
        """Let it finish what it is sending; what the servers do not acknowledge in time is sent by the next process."""
        self._ends.set()
        self._thread.join(_SECONDS_TO_END)

    def _work(self) -> None:
        while not self._ends.is_set():
            try:
                self._publish()
            except (LoanlakeError, sqlite3.Error) as error:
                self._fail(str(error))
            except Exception as error:  # of the client: the thread is all that publishes
                self._fail(f"{self._declared.name}: {type(error).__name__}: {error}")

    def _publish(self) -> None:
        with opened(self._declared) as publisher:
            while publisher is not None and not self._ends.is_set():
                n_sent = publisher.step()
                self._problem, self._pause = "", 1.0
                self._tell()
                if n_sent is None:
                    self._ends.wait(_SECONDS_A_LOOK)
        if publisher is None:  # the API has not logged a decision yet
            self._tell()
            self._ends.wait(_SECONDS_A_LOOK)

    def _fail(self, problem: str) -> None:
        if problem != self._problem:
            self._say(problem)
        self._problem = problem
        self._tell()
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        until = time.monotonic() + self._pause
        while time.monotonic() < until and not self._ends.wait(_SECONDS_A_LOOK):
            self._tell()

    def _tell(self) -> None:
        """How far the topic is behind, where the API's metrics read it."""
        if time.monotonic() - self._said_at < _SECONDS_BETWEEN_LAGS:
            return
        declared, behind = self._declared, Waiting(0, 0.0)
        log = outbox.connect(declared.settings)
        if log is not None:
            with closing(log):
                behind = waiting(log, declared.source)
        lag = StreamLag(
            declared.source,
            DECISIONS_TO,
            at=time.time(),
            messages=behind.n_decisions,
            seconds=behind.seconds,
            problem=self._problem,
        )
        write_lag(declared.settings, lag)
        self._said_at = time.monotonic()
