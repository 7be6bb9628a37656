"""One topic into one raw table, batch after batch; a killed process leaves nothing that the next one counts twice.

1. The lake says where each partition goes on (:mod:`.positions`); what Kafka keeps for the consumer group is not read.
2. Messages become a landing file by one rename (:mod:`.batch`).
3. The file is loaded as any other: its rows, its rejected lines and the offset of each message are one transaction,
   which fails if another process has loaded of these partitions.

Partitions are shared by the processes of a consumer group. Whoever gets one asks the lake, and what the process before
had read and not loaded is read again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import LakeBusyError, StreamError
from warehouse.files.drafts import remove_abandoned
from warehouse.files.turns import file_turn_if_free
from warehouse.lake import connection as lake
from warehouse.lenders.connections import ConnectionSettings
from warehouse.lenders.streams import StreamSettings
from warehouse.readers.json_lines import MESSAGES_BEGIN
from warehouse.settings import Settings
from warehouse.sources.ingest import IngestResult, ingest_pulled
from warehouse.sources.streaming.batch import Batch, Received
from warehouse.sources.streaming.client import client_settings, consumer_settings
from warehouse.sources.streaming.lag import StreamLag
from warehouse.sources.streaming.positions import Offsets, positions
from warehouse.sources.target import Target, table_columns

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

_MESSAGES_A_STEP = 1_000
_SECONDS_BETWEEN_TRIES = 2.0
_SECONDS_A_LOOK = 1.0
_MEND = "see what became of the topic, then raise `reading` of the stream, which reads it from its beginning once more"


@dataclass(frozen=True)
class Declared:
    """What is read, and where to."""

    target: Target
    settings: Settings
    connection: ConnectionSettings
    stream: StreamSettings

    @property
    def folder(self) -> Path:
        """Where its files land."""
        return self.settings.landing / self.target.source / self.target.entity

    @property
    def name(self) -> str:
        """The lender and the kind of file, for people."""
        return f"{self.target.source} {self.target.entity}"


class Stream:
    """A topic that is read: :meth:`step` again and again. :func:`opened` is the way to one."""

    def __init__(self, declared: Declared, say: Callable[[str], object], *, shares: bool) -> None:
        self._declared, self._say = declared, say
        self._batch = self._empty()
        #: By partition that this process reads: where the lake says it goes on; None: at its beginning.
        self._next: dict[int, int | None] = {}
        #: Partitions of which all messages that there are have been seen.
        self._ends: set[int] = set()
        self._failure: Exception | None = None
        self._columns: tuple[str, ...] = ()
        #: Messages, ends of partitions and errors that Kafka has sent.
        self.n_heard = 0
        self._waits, self._not_before = False, 0.0
        self._problem = ""
        self._last_at: int | None = None
        self._n_loaded = self._n_set_aside = 0
        self._consumer = self._made()
        if shares:
            self._consumer.subscribe(
                [declared.stream.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
            )
        else:
            self._seek(self._consumer, self._all_partitions())

    def step(self, seconds: float, *, until_end: bool = False) -> IngestResult | None:
        """Read for up to ``seconds`` until there are messages, and load the batch if it is due; the result of the load.

        ``until_end``: a batch is due, too, where no further message is known. Raises StreamError where the stream
        cannot go on.
        """
        if self._waits and time.monotonic() >= self._not_before:
            self._seek(self._consumer, self._consumer.assignment())
        # one by one: a list of messages may have some of before a rebalance that happened while it was filled
        for number in range(_MESSAGES_A_STEP):
            message = self._consumer.poll(0 if number else seconds)
            if self._failure is not None:
                raise self._failure
            if message is None:
                break
            self._take(message)
        is_due = self._is_due() or (until_end and bool(self._batch) and self._ends >= self._next.keys())
        return self._load() if is_due else None

    @property
    def is_drained(self) -> bool:
        """Whether every message that Kafka had is in the lake."""
        return bool(self._next) and self._ends >= self._next.keys() and not self._batch

    def lag(self) -> StreamLag:
        """How far it is behind, as far as known."""
        if self._problem and not self._waits:
            self._look_again()
        target, waiting = self._declared.target, self._waiting()
        oldest = self._batch.oldest_at if self._batch else self._last_at
        return StreamLag(
            target.source,
            target.entity,
            at=time.time(),
            partitions=len(self._next),
            messages=waiting,
            seconds=max(0.0, time.time() - oldest / 1000) if waiting and oldest is not None else 0.0,
            loaded=self._n_loaded,
            set_aside=self._n_set_aside,
            problem=self._problem,
        )

    def close(self) -> None:
        """Leave the group; what is read and not loaded is read again."""
        self._consumer.close()

    def _empty(self) -> Batch:
        return Batch(self._declared.stream.required)

    def _made(self) -> "Consumer":
        from confluent_kafka import Consumer

        declared, stream = self._declared, self._declared.stream
        return Consumer(
            consumer_settings(
                client_settings(stream.connection, declared.connection),
                group=f"loanlake-{declared.target.source}-{declared.target.entity}",
                read_ahead_megabytes=stream.batch_megabytes,
                longest_load_seconds=declared.settings.lease_seconds,
            )
            | {"error_cb": self._warned}
        )

    def _warned(self, error: "KafkaError") -> None:
        """Of servers that do not answer, the client says so once, and not when they answer again."""
        self._problem = error.str()

    def _look_again(self) -> None:
        """Whether a problem is over."""
        from confluent_kafka import KafkaException

        topic = self._declared.stream.topic
        try:
            error = self._consumer.list_topics(topic, timeout=_SECONDS_A_LOOK).topics[topic].error
            self._problem = "" if error is None else error.str()
        except KafkaException as failure:
            self._problem = failure.args[0].str()

    def _all_partitions(self) -> "list[TopicPartition]":
        from confluent_kafka import KafkaException, TopicPartition

        declared, topic = self._declared, self._declared.stream.topic
        try:
            found = self._consumer.list_topics(topic, timeout=declared.connection.timeout_seconds).topics[topic]
        except KafkaException as error:
            raise StreamError(
                f"{declared.name}: {declared.stream.address} must answer: {error.args[0].str()}"
            ) from None
        if found.error is not None or not found.partitions:
            why = found.error.str() if found.error else "it has no partition"
            raise StreamError(f"{declared.name}: {declared.stream.address} must be a topic: {why}")
        return [TopicPartition(topic, partition) for partition in sorted(found.partitions)]

    def _assigned(self, consumer: "Consumer", partitions: "Sequence[TopicPartition]") -> None:
        try:
            self._seek(consumer, partitions)
        except Exception as error:  # the client expects none of a call back: the step that polls raises it
            self._failure = error

    def _seek(self, consumer: "Consumer", partitions: "Sequence[TopicPartition]") -> None:
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        declared = self._declared
        with lake.connect(declared.settings) as con:
            found = positions(con, declared.target.source, declared.target.entity, declared.stream.address)
        self._batch, self._ends = self._empty(), set()
        self._next = {each.partition: found.get(each.partition) for each in partitions}
        starts = [
            TopicPartition(each.topic, each.partition, found.get(each.partition, OFFSET_BEGINNING))
            for each in partitions
        ]
        consumer.assign(starts)
        if self._waits:
            consumer.resume(starts)
            self._waits = False

    def _revoked(self, _consumer: "Consumer", partitions: "Sequence[TopicPartition]") -> None:
        for each in partitions:
            self._batch.drop(each.partition)
            self._next.pop(each.partition, None)
            self._ends.discard(each.partition)

    def _take(self, message: "Message") -> None:
        self.n_heard += 1
        error = message.error()
        if error is not None:
            self._take_error(error, int(message.partition() or 0))
            return
        partition, offset = int(message.partition() or 0), int(message.offset() or 0)
        if partition not in self._next:
            return  # of a partition that was given back while it was on its way
        kind, at = message.timestamp()
        value = message.value()
        self._batch.add(Received(partition, offset, at if kind else None, value), now=time.monotonic())
        self._ends.discard(partition)
        self._problem = ""

    def _take_error(self, error: "KafkaError", partition: int) -> None:
        from confluent_kafka import KafkaError

        if error.code() == KafkaError._PARTITION_EOF:
            self._ends.add(partition)
            self._problem = ""
        elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise StreamError(self._gap(partition, error.str()))
        elif error.fatal():
            raise StreamError(f"{self._declared.name}: {self._declared.stream.address} cannot be read: {error.str()}")
        else:  # the client tries again by itself
            self._problem = error.str()

    def _gap(self, partition: int, error: str) -> str:
        """Why a partition cannot go on where the lake is."""
        from confluent_kafka import KafkaException, TopicPartition

        declared, start = self._declared, self._next.get(partition) or 0
        try:
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(declared.stream.topic, partition), timeout=declared.connection.timeout_seconds
            )
            found = f"offsets {low} to {high}"
            if start < low:
                found += f", so that {low - start:,} were deleted before they were read"
            elif start > high:
                found += ", so that the topic was created again or lost messages"
        except KafkaException:
            found = error
        return (
            f"{declared.name}: partition {partition} of {declared.stream.address} must go on at offset {start}, after "
            f"the lake's last message: found {found}; {_MEND}"
        )

    def _is_due(self) -> bool:
        batch, stream = self._batch, self._declared.stream
        return bool(batch) and (
            len(batch) >= stream.batch_messages
            or batch.n_bytes >= stream.batch_megabytes << 20
            or time.monotonic() - batch.began >= stream.batch_seconds
        )

    def _load(self) -> IngestResult | None:
        declared, batch = self._declared, self._batch
        offsets = Offsets(
            declared.stream.address,
            datetime.now(UTC).replace(tzinfo=None),
            began={partition: self._next[partition] for partition in batch.spans},
            ended={partition: end for partition, (_, end) in batch.spans.items()},
        )
        path = declared.folder / f"{declared.target.entity}-{offsets.read_at:%Y%m%dT%H%M%S%f}Z.jsonl"
        batch.write(path, declared.stream.address, self._known_columns())
        try:
            result = ingest_pulled(declared.target, path, declared.settings, offsets)
        except BaseException as error:
            path.unlink(missing_ok=True)  # its messages are read again
            if not isinstance(error, LakeBusyError):
                raise
            self._wait(error)
            return None
        self._is_loaded(result, offsets)
        return result

    def _is_loaded(self, result: IngestResult, offsets: Offsets) -> None:
        from confluent_kafka import TopicPartition

        topic = self._declared.stream.topic
        self._next.update(offsets.ended)
        self._last_at, self._batch, self._problem = self._batch.newest_at, self._empty(), ""
        self._n_loaded += result.n_rows
        self._n_set_aside += result.n_rejected
        # for tools that show how far a group is; nothing here reads it
        ended = [TopicPartition(topic, partition, offset) for partition, offset in offsets.ended.items()]
        self._consumer.commit(offsets=ended, asynchronous=True)

    def _wait(self, error: LakeBusyError) -> None:
        """Read nothing for a while, and then from where the lake is: the batch may be what another process loaded."""
        self._say(f"{self._declared.name}: {error}")
        self._problem, self._batch, self._ends = str(error), self._empty(), set()
        self._consumer.pause(self._consumer.assignment())
        self._waits, self._not_before = True, time.monotonic() + _SECONDS_BETWEEN_TRIES

    def _known_columns(self) -> tuple[str, ...]:
        target = self._declared.target
        if target.columns is not None:
            return target.columns
        if not self._columns:
            with lake.connect(self._declared.settings) as con:
                self._columns = table_columns(con, target).first
        return self._columns

    def _waiting(self) -> int:
        """Messages that Kafka has beyond the lake's, as far as its answers so far say."""
        from confluent_kafka import TopicPartition

        waiting = 0
        for partition, start in self._next.items():
            known = TopicPartition(self._declared.stream.topic, partition)
            low, high = self._consumer.get_watermark_offsets(known, cached=True)
            waiting += max(0, high - (low if start is None else start))
        return waiting


@contextmanager
def opened(declared: Declared, say: Callable[[str], object], *, shares: bool = True) -> Iterator[Stream]:
    """The stream of an entity, closed at the end; raises LakeBusyError if another process of this home reads it.

    ``shares``: the topic with those of other homes, as a group of consumers; otherwise all of its partitions are read.
    """
    lock = f"stream-{declared.target.source}-{declared.target.entity}.lock"
    with file_turn_if_free(declared.settings.home / "locks" / lock) as is_ours:
        if not is_ours:
            raise LakeBusyError(f"one process of a home reads the stream {declared.name}: another does; end it first")
        declared.folder.mkdir(parents=True, exist_ok=True)
        _remove_unloaded(declared)
        stream = Stream(declared, say, shares=shares)
        try:
            yield stream
        finally:
            stream.close()


def _remove_unloaded(declared: Declared) -> None:
    """Remove landing files of killed processes: no transaction has them, and their messages are read again."""
    remove_abandoned(declared.folder)
    with lake.connect(declared.settings) as con:
        loaded = con.execute(
            "select file from raw.files where source = $1 and entity = $2",
            [declared.target.source, declared.target.entity],
        ).fetchall()
    for path in declared.folder.glob(f"{declared.target.entity}-*Z.jsonl"):
        with path.open("rb") as file:
            is_ours = file.read(len(MESSAGES_BEGIN)) == MESSAGES_BEGIN
        if is_ours and (path.name,) not in loaded:
            path.unlink()
