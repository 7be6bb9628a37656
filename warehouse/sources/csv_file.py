"""A delimited text file as received: which physical lines are rows, and which are not.

The file is read once, front to back, in blocks of a few megabytes. Python decides line by line what is a row (most
lines by counting their commas, a quoted one by the ``csv`` module), so that every row keeps its true physical line even
after blank lines and quoted line breaks, and one broken quote costs one line and not the rest of the file. Arrow then
parses the kept lines. DuckDB's own reader numbers no lines, and an unclosed quote there silently took all rows of a
ten-line file.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as arrow_csv

from warehouse.errors import SourceFileError
from warehouse.sources.declaration import column_name

BLOCK_BYTES = 8 << 20
#: A quoted value may break over this many physical lines; an unclosed quote is given up after them.
MAX_LINES_OF_A_ROW = 1_000
#: Beyond this many lines that are not rows the file as a whole is taken for another kind of file.
MAX_REJECTED_LINES = 100_000
_VALUE_CHARACTERS = 2_000
_MAGIC = {
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"BZh": "compressed by bzip2: give it plain or gzipped",
    b"\xfd7zXZ": "compressed by xz: give it plain or gzipped",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: give it plain or gzipped",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8 (iconv -f utf-16 -t utf-8)",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8 (iconv -f utf-16 -t utf-8)",
}


@dataclass(frozen=True)
class RejectedLine:
    """A physical line that is not a row; the header is line 1 where nothing precedes it."""

    line: int
    value: str
    reason: str


@dataclass
class CsvFile:
    """A plain or gzipped CSV file; reading it raises SourceFileError where the file as a whole cannot be used.

    ``notes``: how lines begin that the file carries about itself. ``columns`` are known after construction, ``rejected``
    after all :meth:`batches` were taken.
    """

    path: Path
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = field(init=False)
    rejected: list[RejectedLine] = field(init=False, default_factory=list)
    _header_line: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        with self._open() as stream:
            self.columns = self._read_header(stream)
        self.rejected.clear()

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Rows in file order: ``columns`` (of the file's own) as text, then ``_line``. An empty field is null."""
        self.rejected.clear()
        with self._open() as stream:
            self._read_header(stream)
            line, carried = self._header_line + 1, b""
            while True:
                read = self._read(stream, BLOCK_BYTES)
                block, is_last = carried + read, len(read) < BLOCK_BYTES
                cut = len(block) if is_last else block.rfind(b"\n") + 1
                if cut == 0 and len(block) > 8 * BLOCK_BYTES:
                    raise self._unusable(f"line {line} is longer than {len(block):,} bytes: is this a text file?")
                kept, numbers, used, n_lines = self._sort(block[:cut], line, is_last=is_last)
                if numbers:
                    yield self._parse(kept, numbers, columns)
                line, carried = line + n_lines, block[used:]
                if is_last:
                    return

    def _sort(self, block: bytes, first_line: int, *, is_last: bool) -> tuple[bytes, list[int], int, int]:
        """The rows among whole lines: their bytes, their line numbers, and how many bytes and lines were used up."""
        text = self._decoded(block, first_line)
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        n_commas = len(self.columns) - 1
        if (
            '"' not in text
            and block.count(b"\r") == block.count(b"\r\n")
            and n_commas  # a blank line of a one-column file has no comma too many
            and all(line.count(b",") == n_commas for line in lines)
            and not any(note in text for note in self.notes)
        ):
            return block, list(range(first_line, first_line + len(lines))), len(block), len(lines)

        kept, numbers, at = [], [], 0
        while at < len(lines):
            n_lines, reason = self._row(lines, at)
            if reason and n_lines == 0 and not is_last and len(lines) - at < MAX_LINES_OF_A_ROW:
                break  # its quote may close in the next block
            if reason == "":
                kept += lines[at : at + n_lines]
                numbers.append(first_line + at)
            elif reason is not None:
                self._reject(first_line + at, lines[at], reason)
            at += max(n_lines, 1)
        used = len(block) if at >= len(lines) else sum(len(line) + 1 for line in lines[:at])
        return b"\n".join(kept) + b"\n", numbers, used, at

    def _row(self, lines: Sequence[bytes], at: int) -> tuple[int, str | None]:
        """How many physical lines the row at ``at`` spans, and "" or why it is none; None for a blank line.

        (0, reason) says that a quote is still open at the end of ``lines``.
        """
        line, n_fields = lines[at], len(self.columns)
        if not line.strip():
            return 1, None
        if line.lstrip(b'"').startswith(tuple(note.encode() for note in self.notes)) and self.notes:
            return 1, "a note of the file about itself, not a row"
        if b"\0" in line:
            return 1, "a NUL byte"
        if b'"' not in line and b"\r" not in line[:-1]:
            found = line.count(b",") + 1
            return 1, "" if found == n_fields else f"{found} fields instead of {n_fields}"

        rest = (text.decode() + "\n" for text in lines[at : at + MAX_LINES_OF_A_ROW])
        reader = csv.reader(rest, strict=True)
        try:
            found = len(next(reader))
        except csv.Error as error:
            if str(error) == "unexpected end of data":
                return 0, "a quote is opened and not closed"
            return 1, f"broken quoting: {error}"
        if found != n_fields:
            spans = f" (its quotes span {reader.line_num} lines)" if reader.line_num > 1 else ""
            return 1, f"{found} fields instead of {n_fields}{spans}"
        return reader.line_num, ""

    def _parse(self, rows: bytes, numbers: list[int], columns: Sequence[str]) -> pa.RecordBatch:
        table = arrow_csv.read_csv(
            io.BytesIO(rows),
            read_options=arrow_csv.ReadOptions(
                column_names=self.columns, use_threads=False, block_size=min(len(rows) + 1, 2**31 - 1)
            ),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(columns),
                column_types=dict.fromkeys(self.columns, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                check_utf8=False,  # the block was decoded already
            ),
        )
        if len(table) != len(numbers):
            raise self._unusable(
                f"its lines {numbers[0]:,} to {numbers[-1]:,} hold {len(numbers):,} rows by their commas and quotes, but "
                f"parse as {len(table):,}"
            )
        arrays = [column.combine_chunks() for column in table.columns]
        return pa.record_batch([*arrays, pa.array(numbers, pa.int64())], names=[*columns, "_line"])

    def _read_header(self, stream: BinaryIO) -> tuple[str, ...]:
        start = self._read(stream, 8, peek=True)
        for magic, found in _MAGIC.items():
            if start.startswith(magic):
                raise self._unusable(f"it is {found}")
        if start.startswith(b"\xef\xbb\xbf"):
            self._read(stream, 3)

        self._header_line = 0
        while line := self._read_line(stream):
            self._header_line += 1
            text = self._decoded(line, self._header_line).rstrip("\r\n")
            if not text.strip():
                continue
            if text.lstrip('"').startswith(self.notes) and self.notes:
                self._reject(self._header_line, line, "a note of the file about itself, not a row")
                continue
            return self._header(text)
        raise self._unusable("it is empty" if self._header_line == 0 else "it holds no header")

    def _header(self, text: str) -> tuple[str, ...]:
        try:
            fields = next(csv.reader([text], strict=True))
        except csv.Error as error:
            raise self._unusable(f"its header's quotes are broken ({error})") from None
        if len(fields) == 1:
            for delimiter, name in {";": "semicolons", "\t": "tabs", "|": "bars"}.items():
                if delimiter in text:
                    raise self._unusable(f"its fields are separated by {name}: write it with commas")
        columns = tuple(column_name(name) for name in fields)
        unnamed = [str(position) for position, name in enumerate(columns, start=1) if not name]
        if unnamed:
            raise self._unusable(f"its header names no column at position {', '.join(unnamed[:10])}")
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise self._unusable(f"its header names the same column twice: {', '.join(twice[:10])}")
        return columns

    def _open(self) -> BinaryIO:
        with self.path.open("rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
        return io.BufferedReader(gzip.open(self.path)) if is_gzip else self.path.open("rb")  # type: ignore[arg-type]

    def _read(self, stream: BinaryIO, size: int, *, peek: bool = False) -> bytes:
        try:
            if peek:
                return stream.peek(size)[:size]  # type: ignore[attr-defined, no-any-return]
            return stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._unusable(f"its gzip stream is damaged or cut short ({error}): fetch it again") from None

    def _read_line(self, stream: BinaryIO) -> bytes:
        try:
            return stream.readline(1 << 20)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._unusable(f"its gzip stream is damaged or cut short ({error}): fetch it again") from None

    def _decoded(self, block: bytes, first_line: int) -> str:
        try:
            text = block.decode()
        except UnicodeDecodeError as error:
            line = first_line + block.count(b"\n", 0, error.start)
            found = f"byte 0x{block[error.start]:02x} on line {line:,} is not UTF-8"
            if b"\0" in block[:4096]:
                raise self._unusable(f"it is a binary file ({found})") from None
            raise self._unusable(f"{found}: convert it first (iconv -f latin1 -t utf-8)") from None
        if first_line <= 1 and "\0" in text:
            raise self._unusable("it is a binary file (a NUL byte on its first line)")
        return text

    def _reject(self, line: int, value: bytes, reason: str) -> None:
        text = value.decode().rstrip("\r\n")
        self.rejected.append(RejectedLine(line, text[:_VALUE_CHARACTERS], reason))
        if len(self.rejected) > MAX_REJECTED_LINES:
            first = self.rejected[0]
            raise self._unusable(
                f"more than {MAX_REJECTED_LINES:,} of its lines are not rows; the first is line {first.line:,}: "
                f"{first.reason}"
            )

    def _unusable(self, found: str) -> SourceFileError:
        return SourceFileError(
            f"{self.path.name} must be a CSV file (UTF-8, commas, a header; plain or gzipped) or Parquet: {found}; "
            "nothing of it was loaded"
        )
