"""Files of JSON lines: one flat object a line, or one message of a Kafka topic; its keys are the columns."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa

from warehouse.lenders.files import FileSettings
from warehouse.raw import column_name
from warehouse.readers.csv_head import MOST_COLUMNS, HeaderProblem, names_of
from warehouse.readers.limits import Limits, require_rows
from warehouse.readers.table_file import VALUE_CHARACTERS, FileLayout, RejectedLine
from warehouse.readers.text_stream import TextStream, written_like
from warehouse.sql.quoting import literal

#: A file with more lines that are not objects is rejected as another kind of file.
MAX_REJECTED_LINES = 100_000
_BATCH_ROWS = 20_000
_LINE_ENDS = b" \t\r\n"
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_string = msgspec.json.Decoder(str).decode
_WORDS = {b"null": None, b'""': None}
_NO_OBJECT = "not one object of JSON on one line"
#: How the first line of a file of messages begins.
MESSAGES_BEGIN = b'{"messages_of":'


class JsonLines:
    """A plain or gzipped file of JSON lines, read twice: for its keys, and for its rows.

    A text is kept as it is; a number as it is written; true and false as these words; an object or a list as its JSON
    text. null, an empty text and an absent key are missing values. Raises SourceFileError for an unusable file.
    """

    _needs_keys = True

    def __init__(self, path: Path, declared: FileSettings | None = None, *, limits: Limits | None = None) -> None:
        self.path = path
        self._declared, self._limits = declared or FileSettings(), limits
        self.rejected: list[RejectedLine] = []
        keys = self._keys_before()
        for _, _, row in self._lines():
            if not isinstance(row, str) and not row.keys() <= keys.keys():
                keys.update(dict.fromkeys(row))
                if len(keys) > MOST_COLUMNS:
                    break
        with self._stream() as stream:
            self.layout = FileLayout("json lines", stream.encoding)
            if not keys and self._needs_keys:
                raise stream.unusable("none of its lines is an object of JSON with keys: write one object a line")
            try:
                self.columns = names_of(list(keys))
            except HeaderProblem as problem:
                raise stream.unusable(str(problem)) from None
        self._keys = dict(zip(self.columns, keys, strict=True))

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows in file order: ``columns`` as text, then ``_line``."""
        self.rejected, n_rows = [], 0
        keys = [self._keys[column] for column in columns]
        texts: list[list[str | None]] = [[] for _ in keys]
        lines: list[int] = []
        for number, line, row in self._lines():
            try:
                values = _values(line, row, keys)
            except ValueError as problem:
                self._reject(number, line, str(problem))
                continue
            for column, value in zip(texts, values, strict=True):
                column.append(value)
            lines.append(number)
            if len(lines) == _BATCH_ROWS:
                n_rows += len(lines)
                require_rows(self.path, n_rows, self._limits)
                yield _batch(columns, texts, lines)
                texts, lines = [[] for _ in keys], []
        if lines:
            require_rows(self.path, n_rows + len(lines), self._limits)
            yield _batch(columns, texts, lines)

    def write_without(self, lines: Collection[int], to: Path) -> None:
        """Write the text to ``to`` with these ``lines`` blank."""
        with self._stream() as stream, written_like(self.path, to, stream.encoding) as write:
            number = 0
            while line := stream.read_line():
                number += 1
                write(b"\n" if number in lines else line)

    def rejected_field(self, column: str) -> str | None:
        """SQL for the text that follows a column's key in a rejected line; None if no line has the key."""
        if column not in self._keys:
            return None
        pattern = f'"{re.escape(self._keys[column])}"\\s*:\\s*"?([^",}}]*)'
        return f"regexp_extract(value, {literal(pattern)}, 1)"

    def _keys_before(self) -> dict[str, None]:
        """Keys that the file has whatever its lines have."""
        return {}

    def _lines(self) -> Iterator[tuple[int, bytes, Mapping[str, msgspec.Raw] | str]]:
        """Each line that is not blank, and its object, or the reason why it has none."""
        with self._stream() as stream:
            number = 0
            while line := stream.read_line():
                number += 1
                stream.require_text(line, number)
                if line.strip(_LINE_ENDS):
                    yield number, line, _object(line)

    def _reject(self, number: int, line: bytes, reason: str) -> None:
        self.rejected.append(RejectedLine(number, line.decode().rstrip("\r\n")[:VALUE_CHARACTERS], reason))
        if len(self.rejected) > MAX_REJECTED_LINES:
            first = self.rejected[0]
            with self._stream() as stream:
                raise stream.unusable(
                    f"more than {MAX_REJECTED_LINES:,} of its lines are not objects (line {first.line:,}: "
                    f"{first.reason})"
                )

    def _stream(self) -> TextStream:
        return TextStream(self.path, self._limits, encoding=self._declared.encoding, is_json=True)


class Message(msgspec.Struct, omit_defaults=True):
    """A line of a file of messages. ``at``: the message's time, milliseconds since 1970.

    ``value``: the object that it holds; without one, ``reason`` says why, and ``text`` is what came.
    """

    partition: int
    offset: int
    at: int | None = None
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    text: str = ""
    reason: str = ""


class _First(msgspec.Struct):
    messages_of: str
    columns: list[str]


_message = msgspec.json.Decoder(Message).decode
_first = msgspec.json.Decoder(_First).decode


class Messages(JsonLines):
    """Messages of a Kafka topic, written by ``loanlake stream``: each with its partition and offset.

    The first line has the columns of the table, so that keys that no message has are null. A column is a key as
    ``column_name`` writes it.
    """

    _needs_keys = False

    def positions(self) -> pa.Table:
        """Line, partition, offset and time of each message."""
        found: list[tuple[int, Message]] = []
        with self._stream() as stream:
            number = 0
            while line := stream.read_line():
                number += 1
                if number > 1 and line.strip(_LINE_ENDS):
                    found.append((number, _message(line)))
        return pa.table(
            {
                "line": pa.array([number for number, _ in found], pa.int64()),
                "topic_partition": pa.array([message.partition for _, message in found], pa.int32()),
                "topic_offset": pa.array([message.offset for _, message in found], pa.int64()),
                "message_at": pa.array([message.at for _, message in found], pa.timestamp("ms")),
            }
        )

    def _keys_before(self) -> dict[str, None]:
        with self._stream() as stream:
            return dict.fromkeys(_first(stream.read_line()).columns)

    def _lines(self) -> Iterator[tuple[int, bytes, Mapping[str, msgspec.Raw] | str]]:
        with self._stream() as stream:
            number = 0
            while line := stream.read_line():
                number += 1
                if number == 1 or not line.strip(_LINE_ENDS):
                    continue
                message = _message(line)
                if isinstance(message.value, msgspec.Raw):
                    value = bytes(message.value)
                    yield number, value, {column_name(key): raw for key, raw in _decode(value).items()}
                else:
                    yield number, message.text.encode(), message.reason


def _object(line: bytes) -> Mapping[str, msgspec.Raw] | str:
    try:
        return _decode(line)
    except (msgspec.DecodeError, RecursionError):
        return _NO_OBJECT


def _values(line: bytes, row: Mapping[str, msgspec.Raw] | str, keys: Sequence[str]) -> list[str | None]:
    """The texts of a row; raises ValueError with the reason why a line is none."""
    if isinstance(row, str):
        raise ValueError(row)
    # a colon more than there are keys may be one in a text or an object; only then the keys are counted
    if line.count(b":") > len(row) and _n_keys(line) > len(row):
        raise ValueError("a key that stands twice")
    return [text_of(row.get(key)) for key in keys]


def _n_keys(line: bytes) -> int:
    try:
        return len(json.loads(line, object_pairs_hook=list))
    except RecursionError:
        raise ValueError("objects within objects, too many to read") from None


def text_of(raw: msgspec.Raw | None) -> str | None:
    """A value as text; None is a missing one."""
    if raw is None:
        return None
    written = bytes(raw)
    if written in _WORDS:
        return _WORDS[written]
    return _string(written) if written[:1] == b'"' else written.decode()


def _batch(columns: Sequence[str], texts: Sequence[Sequence[str | None]], lines: Sequence[int]) -> pa.RecordBatch:
    arrays = [pa.array(column, pa.string()) for column in texts]
    return pa.record_batch([*arrays, pa.array(lines, pa.int64())], names=[*columns, "_line"])
