"""Kafka topics of a lender: those whose messages become raw rows (``streams``), and one of its decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from warehouse.lenders.connections import ConnectionSettings, PullSettings
from warehouse.lenders.keys import Key

_Text = Annotated[str, Meta(pattern=r"\S")]
_Count = Annotated[int, Meta(ge=1)]
_Topic = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
#: By which name what is published is reported beside the streams of entities.
DECISIONS_TO = "decisions_to"


@dataclass(frozen=True)
class StreamSettings:
    """The topic of one entity, which names its raw table, and how its messages are put together."""

    connection: Annotated[_Text, Key("the name of one of `connections`", "The Kafka servers.")]
    topic: Annotated[_Topic, Key("the name of a topic", "Each of its messages is one row: an object of JSON.")]
    required: Annotated[
        tuple[_Text, ...],
        Key("a list of keys such as [application_id]", "A message without a value for each of them is set aside."),
    ] = ()
    batch_messages: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)],
        Key("a whole number, 1 to 1,000,000", "Messages that are loaded together at most."),
    ] = 10_000
    batch_megabytes: Annotated[
        Annotated[int, Meta(ge=1, le=1024)],
        Key("a whole number, 1 to 1024", "Their size at most, and that of the messages read ahead of them."),
    ] = 16
    batch_seconds: Annotated[
        Annotated[float, Meta(gt=0, le=3600)],
        Key("a number above 0, at most 3600", "How long the first message of a batch waits for others."),
    ] = 5.0
    reading: Annotated[
        _Count,
        Key(
            "a whole number, at least 1",
            "Raise it to read the topic from its beginning once more: after it was created again, or after messages "
            "were deleted there that had not been read.",
        ),
    ] = 1

    @property
    def address(self) -> str:
        """Where the rows come from, as ``raw.files`` has it: servers may move, and offsets stay."""
        again = f", reading {self.reading}" if self.reading > 1 else ""
        return f"kafka {self.connection}/{self.topic}{again}"


@dataclass(frozen=True)
class DecisionTopic:
    """The topic that a lender's decisions are published to."""

    connection: Annotated[_Text, Key("the name of one of `connections`", "The Kafka servers.")]
    topic: Annotated[_Topic, Key("the name of a topic", "It gets a message for each decision, keyed by application.")]

    @property
    def address(self) -> str:
        """Where the decisions go, as the cursor beside the decision log names it."""
        return f"kafka {self.connection}/{self.topic}"


def require_known_brokers(
    connections: Mapping[str, ConnectionSettings],
    pulls: Mapping[str, PullSettings],
    streams: Mapping[str, StreamSettings],
    decisions_to: DecisionTopic | None,
) -> None:
    """Raise ValueError unless each topic names a connection to Kafka, and no pull fills the table of a stream."""
    topics: dict[str, StreamSettings | DecisionTopic] = {f"streams.{name}": each for name, each in streams.items()}
    if decisions_to is not None:
        topics[DECISIONS_TO] = decisions_to
    for key, topic in topics.items():
        found = connections.get(topic.connection)
        if found is None or found.kind != "kafka":
            known = ", ".join(name for name, each in connections.items() if each.kind == "kafka")
            raise ValueError(
                f"{key}.connection must name one of the kind kafka, {known or 'of which there is none'}: "
                f"found {topic.connection!r}"
            )
    for entity, stream in streams.items():
        if entity in pulls:
            raise ValueError(f"streams.{entity} must be the only source of its rows: found pulls.{entity} too")
        if entity == DECISIONS_TO or (decisions_to and (stream.connection, stream.topic) == _place(decisions_to)):
            raise ValueError(f"streams.{entity} must have a name and a topic of its own: found that of decisions_to")


def _place(topic: DecisionTopic) -> tuple[str, str]:
    return topic.connection, topic.topic
