"""A CSV file: its header, its rows as Arrow batches, and its lines that are not rows."""

import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as arrow_csv

from warehouse.sources.csv_header import HeaderProblem, column_names, other_separator, separator_of
from warehouse.sources.csv_lines import MAX_LINE_BYTES, NOTE, Layout, SortedLines, sort_lines
from warehouse.sources.limits import Limits, require_rows
from warehouse.sources.text_stream import TextStream

BLOCK_BYTES = 8 << 20
#: A file with more lines that are not rows is rejected as another kind of file.
MAX_REJECTED_LINES = 100_000
_VALUE_CHARACTERS = 2_000
_LINES_LOOKED_AT = 10


@dataclass(frozen=True)
class RejectedLine:
    """A physical line that is not a row, counted from 1. Long values are cut."""

    line: int
    value: str
    reason: str


class CsvFile:
    """A plain or gzipped CSV file, read block by block; raises SourceFileError for an unusable file.

    Without ``limits``, for landed files, any size is accepted. ``rejected`` is complete after the last batch.
    """

    def __init__(self, path: Path, *, notes: Sequence[str] = (), limits: Limits | None = None) -> None:
        self.path = path
        self._limits = limits
        self.rejected: list[RejectedLine] = []
        self._notes = tuple(note.encode() for note in notes)
        with TextStream(path, limits) as stream:
            header, _ = self._read_header(stream)
            following = [stream.read_line().decode(errors="replace") for _ in range(_LINES_LOOKED_AT)]
            try:
                self.columns = column_names(header, following)
            except HeaderProblem as problem:
                raise stream.unusable(str(problem)) from None
        self._layout = Layout(n_fields=len(self.columns), notes=self._notes)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows in file order: ``columns`` as text (empty is null), then ``_line``, their first line."""
        self.rejected, n_rows = [], 0
        with TextStream(self.path, self._limits) as stream:
            _, header_line = self._read_header(stream)
            for line, _, found in self._blocks(stream, header_line + 1):
                n_rows += len(found.row_at)
                require_rows(self.path, n_rows, self._limits)
                for at, value, reason in found.rejected:
                    self._reject(stream, line + at, value, reason)
                if found.row_at:
                    yield self._parse(found.rows, [line + at for at in found.row_at], columns, stream)

    def write_without(self, lines: Collection[int], to: BinaryIO) -> None:
        """Write the text to ``to`` with rows that begin on ``lines`` blank; all other rows keep their line numbers."""
        with TextStream(self.path) as stream:
            _, header_line = self._read_header(stream)
        with TextStream(self.path) as stream:
            for _ in range(header_line):
                to.write(stream.read_line())
            for line, block, found in self._blocks(stream, header_line + 1):
                to.write(_without(block, found, {number - line for number in lines}))

    def _blocks(self, stream: TextStream, line: int) -> Iterator[tuple[int, bytes, SortedLines]]:
        """From ``line`` to the end: the number of each block's first line, its settled bytes, and its sorted lines."""
        rest, is_last = b"", False
        while not is_last:
            read = stream.read(BLOCK_BYTES)
            block, is_last = rest + read, len(read) < BLOCK_BYTES
            whole_lines = len(block) if is_last else block.rfind(b"\n") + 1
            if len(block) - whole_lines > MAX_LINE_BYTES:
                raise stream.unusable(f"line {line:,} is longer than {MAX_LINE_BYTES >> 20} MB")
            stream.require_text(block[:whole_lines], line)
            found = sort_lines(block[:whole_lines], self._layout, is_last=is_last)
            yield line, block[: found.n_bytes], found
            line, rest = line + found.n_lines, block[found.n_bytes :]

    def _read_header(self, stream: TextStream) -> tuple[str, int]:
        """The header and its line number; blank lines and notes may precede it."""
        number = 0
        while line := stream.read_line():
            number += 1
            stream.require_text(line, number)
            if not line.strip():
                continue
            text = line.decode().rstrip("\r\n")
            separator = separator_of(text)
            if separator is not None and separator != ",":
                raise stream.unusable(other_separator(separator))
            if separator is not None or Layout(0, self._notes).is_note(line):
                self._reject(stream, number, line, NOTE)
                continue
            return text, number
        raise stream.unusable("it is empty" if number == 0 else "it holds no header")

    def _parse(self, rows: bytes, lines: Sequence[int], columns: Sequence[str], stream: TextStream) -> pa.RecordBatch:
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
                check_utf8=False,  # the whole block was checked already
            ),
        )
        if len(table) != len(lines):
            raise stream.unusable(
                f"lines {lines[0]:,} to {lines[-1]:,} hold {len(lines):,} rows by their commas and quotes, but "
                f"parse as {len(table):,}"
            )
        texts = [column.combine_chunks() for column in table.columns]
        return pa.record_batch([*texts, pa.array(lines, pa.int64())], names=[*columns, "_line"])

    def _reject(self, stream: TextStream, line: int, value: bytes, reason: str) -> None:
        self.rejected.append(RejectedLine(line, value.decode().rstrip("\r\n")[:_VALUE_CHARACTERS], reason))
        if len(self.rejected) > MAX_REJECTED_LINES:
            first = self.rejected[0]
            raise stream.unusable(
                f"more than {MAX_REJECTED_LINES:,} of its lines are not rows (line {first.line:,}: {first.reason})"
            )


def _without(block: bytes, found: SortedLines, unwanted: set[int]) -> bytes:
    begins = sorted([*found.row_at, *(at for at, _, _ in found.rejected)])
    if not unwanted or unwanted.isdisjoint(begins):
        return block
    lines = block.split(b"\n")
    for begin, end in pairwise([*begins, found.n_lines]):
        if begin in unwanted:
            lines[begin:end] = [b""] * (end - begin)
    return b"\n".join(lines)
