"""A CSV file: its header, its rows as Arrow batches, and its lines that are not rows."""

import io
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv

from warehouse.lenders.files import FileSettings
from warehouse.readers.csv_head import LINES_LOOKED_AT, HeaderProblem, find_head, split
from warehouse.readers.csv_lines import MAX_LINE_BYTES, NOTE, Layout, SortedLines, sort_lines
from warehouse.readers.limits import Limits, require_rows
from warehouse.readers.table_file import VALUE_CHARACTERS, FileLayout, RejectedLine
from warehouse.readers.text_stream import TextStream, written_like
from warehouse.sql.quoting import literal

BLOCK_BYTES = 8 << 20
#: A file with more lines that are not rows is rejected as another kind of file.
MAX_REJECTED_LINES = 100_000


class CsvFile:
    """A plain or gzipped CSV file, read block by block; raises SourceFileError for an unusable file.

    ``declared``: what the lender's file says of it; the rest is found in its first lines. Without ``limits``, for
    landed files, any size is accepted. ``rejected`` is complete after the last batch.
    """

    def __init__(
        self,
        path: Path,
        declared: FileSettings | None = None,
        *,
        notes: Sequence[str] = (),
        limits: Limits | None = None,
    ) -> None:
        self.path = path
        self._declared = declared or FileSettings()
        self._limits = limits
        self.rejected: list[RejectedLine] = []
        noted = Layout(0, tuple(note.encode() for note in notes))
        with self._stream() as stream:
            lines = stream.first_lines(LINES_LOOKED_AT + (self._declared.title_lines or 0))
            try:
                head = find_head(lines, self._declared, lambda line: noted.is_note(line.encode()))
            except HeaderProblem as problem:
                raise stream.unusable(str(problem)) from None
            encoding = stream.encoding
        self.columns = head.columns
        self.layout = FileLayout("csv", encoding, head.declared_as, head.line - 1)
        self._head = head
        header = lines[head.line - 1].rstrip("\r\n").encode()
        self._rows = Layout(len(head.columns), noted.notes, head.delimiter.encode(), header)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows in file order: ``columns`` as text (empty is null), then ``_line``, their first line."""
        self.rejected, n_rows = [], 0
        with self._stream() as stream:
            for number in range(1, self._head.line + 1):
                line = stream.read_line()
                if line.strip() and number < self._head.line:
                    self._reject(stream, number, line, NOTE)
            for begin, _, found in self._blocks(stream, self._head.line + 1):
                n_rows += len(found.row_at)
                require_rows(self.path, n_rows, self._limits)
                for at, value, reason in found.rejected:
                    self._reject(stream, begin + at, value, reason)
                if found.row_at:
                    yield self._parse(found.rows, [begin + at for at in found.row_at], columns, stream)

    def write_without(self, lines: Collection[int], to: Path) -> None:
        """Write the text to ``to`` with rows that begin on ``lines`` blank; all other rows keep their line numbers."""
        with self._stream() as stream, written_like(self.path, to, stream.encoding) as write:
            for _ in range(self._head.line):
                write(stream.read_line())
            for begin, block, found in self._blocks(stream, self._head.line + 1):
                write(_without(block, found, {number - begin for number in lines}))

    def rejected_field(self, column: str) -> str | None:
        """SQL for a column's text in the ``value`` of a rejected line, by its place; None if it has no such column."""
        if column not in self.columns:
            return None
        return f"trim(split_part(value, {literal(self._head.delimiter)}, {self.columns.index(column) + 1}), ' \"')"

    def _stream(self) -> TextStream:
        return TextStream(self.path, self._limits, encoding=self._declared.encoding)

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
            found = sort_lines(block[:whole_lines], self._rows, is_last=is_last)
            yield line, block[: found.n_bytes], found
            line, rest = line + found.n_lines, block[found.n_bytes :]

    def _parse(self, rows: bytes, lines: Sequence[int], columns: Sequence[str], stream: TextStream) -> pa.RecordBatch:
        if self._rows.is_blanks:
            return self._parse_blanks(rows, lines, columns)
        table = arrow_csv.read_csv(
            io.BytesIO(rows),
            read_options=arrow_csv.ReadOptions(
                column_names=self.columns, use_threads=False, block_size=min(len(rows) + 1, 2**31 - 1)
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=self._head.delimiter, newlines_in_values=True),
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
                f"lines {lines[0]:,} to {lines[-1]:,} hold {len(lines):,} rows by their separators and quotes, but "
                f"parse as {len(table):,}"
            )
        texts = [column.combine_chunks() for column in table.columns]
        return pa.record_batch([*texts, pa.array(lines, pa.int64())], names=[*columns, "_line"])

    def _parse_blanks(self, rows: bytes, lines: Sequence[int], columns: Sequence[str]) -> pa.RecordBatch:
        fields = [split(line.strip(" \r"), " ") for line in rows.decode().split("\n")[:-1]]
        places = [self.columns.index(column) for column in columns]
        texts = [pa.array([row[place] or None for row in fields], pa.string()) for place in places]
        return pa.record_batch([*texts, pa.array(lines, pa.int64())], names=[*columns, "_line"])

    def _reject(self, stream: TextStream, line: int, value: bytes, reason: str) -> None:
        self.rejected.append(RejectedLine(line, value.decode().rstrip("\r\n")[:VALUE_CHARACTERS], reason))
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
