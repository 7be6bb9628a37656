"""Messages become the lines of a landing file: those that can be no row beside the others, with the reason."""

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import msgspec

from warehouse.files.drafts import draft_file
from warehouse.readers.csv_head import HeaderProblem, names_of
from warehouse.readers.json_lines import Message, text_of
from warehouse.readers.table_file import VALUE_CHARACTERS

#: A line of a landing file has 4 MB at most; most servers refuse messages of more than 1 MB.
MOST_BYTES = 3_000_000
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
MOST_DEPTH = 100
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(rb"[{}\[\]]")


@dataclass(frozen=True)
class Received:
    """A message as Kafka gave it; ``at``: milliseconds since 1970."""

    partition: int
    offset: int
    at: int | None
    value: bytes | None


@dataclass
class Batch:
    """Messages that wait to be loaded together. ``began``: by a monotonic clock, when the first one came.

    ``oldest_at``, ``newest_at``: times of the first and the last one. ``spans``: by partition, the first offset and the
    one after the last.
    """

    required: Sequence[str] = ()
    began: float = 0.0
    n_bytes: int = 0
    oldest_at: int | None = None
    newest_at: int | None = None
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)
    _lines: dict[int, list[bytes]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def add(self, received: Received, *, now: float) -> None:
        """Add a message; within a partition they come in the order of their offsets."""
        if not self:
            self.began, self.oldest_at = now, received.at
        self.newest_at = received.at
        line = line_of(received, self.required)
        self._lines.setdefault(received.partition, []).append(line)
        first, _ = self.spans.get(received.partition, (received.offset, 0))
        self.spans[received.partition] = (first, received.offset + 1)
        self.n_bytes += len(line)

    def drop(self, partition: int) -> None:
        """Forget the messages of a partition that another process reads from now on."""
        self.n_bytes -= sum(map(len, self._lines.pop(partition, [])))
        self.spans.pop(partition, None)

    def write(self, path: Path, address: str, columns: Sequence[str]) -> None:
        """Write the landing file of a table with these ``columns``, whole or not at all."""
        draft = draft_file(path)
        with draft.open("wb") as file:
            file.write(_encode({"messages_of": address, "columns": columns}) + b"\n")
            for lines in self._lines.values():
                file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(stat.S_IRUSR)
        draft.rename(path)


def line_of(received: Received, required: Sequence[str]) -> bytes:
    """A message as a line of a landing file."""
    message, value = Message(received.partition, received.offset, received.at), received.value
    reason = why_no_row(value, required)
    if value is not None and reason is None:
        # what its sender wrote on several lines becomes one; texts and numbers stay as they are written
        is_one_line = b"\n" not in value and b"\r" not in value
        message.value = msgspec.Raw(value if is_one_line else msgspec.json.format(value, indent=-1))
    else:
        message.reason = str(reason)
        message.text = (value or b"")[:MOST_BYTES].decode(errors="backslashreplace")[:VALUE_CHARACTERS]
    return _encode(message) + b"\n"


def why_no_row(value: bytes | None, required: Sequence[str]) -> str | None:  # noqa: PLR0911  # one return a reason
    """Why a message can be no row; None if it is one. What a value means, staging finds out."""
    if value is None:
        return "a message without a value, which deletes a key of a compacted topic: rows are not deleted"
    if len(value) > MOST_BYTES:
        return f"longer than {MOST_BYTES:,} bytes"
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8 text (byte 0x{value[error.start]:02x})"
    if _depth(value) > MOST_DEPTH:
        return f"more than {MOST_DEPTH} objects within each other"
    try:
        row = _object(value)
        texts = {key: text_of(raw) for key, raw in row.items()}
    except msgspec.DecodeError:
        return "not one object of JSON"
    missing = [key for key in required if texts.get(key) is None]
    if missing:
        return f"no value of {', '.join(missing)}"
    if not row:
        return "an object without keys"
    try:
        names_of(list(row))
    except HeaderProblem as problem:
        return f"keys that cannot be columns: {problem}"
    return None


def _depth(value: bytes) -> int:
    """How many objects and lists of JSON are within each other; the decoder would end with a RecursionError."""
    if value.count(b"{") + value.count(b"[") <= MOST_DEPTH:
        return 0
    brackets = (1 if bracket in b"{[" else -1 for bracket in _BRACKET.findall(_STRING.sub(b"", value)))
    return max(accumulate(brackets), default=0)
