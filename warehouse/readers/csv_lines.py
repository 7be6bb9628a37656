"""Decide which physical lines of a CSV file are rows of its table.

Lines are settled by counting separators, quoted ones by the ``csv`` module. Rows keep their true line numbers after
blank lines and line breaks within quotes, and a broken quote costs one line. DuckDB's reader has no line numbers, and
an unclosed quote silently removed all rows of a ten-line file.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

#: The reason for rejecting a line about the file itself; it does not count as lost.
NOTE = "a note of the file about itself, not a row"
#: Longest line; a longer one means a file without line breaks.
MAX_LINE_BYTES = 64 << 20
#: Most physical lines of a quoted value; beyond them its quote counts as unclosed.
MAX_LINES_OF_A_ROW = 1_000
# the csv module's default limit for values is 128 KB; it is global to the process
csv.field_size_limit(MAX_LINE_BYTES)


@dataclass(frozen=True)
class Layout:
    """Format of this file's rows. ``notes``: prefixes of lines about the file itself; ``header``: its names.

    A file put together from several has the header again between its rows. A blank as ``delimiter`` stands for one or
    more; a row is then one line.
    """

    n_fields: int
    notes: tuple[bytes, ...] = ()
    delimiter: bytes = b","
    header: bytes = b""

    @property
    def is_blanks(self) -> bool:
        """Whether blanks separate the fields."""
        return self.delimiter == b" "

    def is_note(self, line: bytes) -> bool:
        """Whether a line is about the file (a preamble, a footer of totals, its header again) and not a row."""
        if self.header and self.n_fields > 1 and line.rstrip(b"\r\n") == self.header:
            return True
        return bool(self.notes) and line.lstrip(b'"').startswith(self.notes)


@dataclass
class SortedLines:
    """A block of lines, sorted. Offsets count from the block's first line, 0.

    ``rows``: the bytes of all rows, in order; ``row_at``: each row's first line. ``rejected``: (line, bytes, reason).
    ``n_lines`` and ``n_bytes``: the settled part of the block; the rest needs the next block.
    """

    rows: bytes = b""
    row_at: Sequence[int] = ()
    rejected: list[tuple[int, bytes, str]] = field(default_factory=list)
    n_lines: int = 0
    n_bytes: int = 0


@dataclass(frozen=True)
class _Verdict:
    kind: Literal["row", "blank", "rejected", "unfinished"]
    n_lines: int = 1
    reason: str = ""


_ROW, _BLANK = _Verdict("row"), _Verdict("blank")


def sort_lines(block: bytes, layout: Layout, *, is_last: bool) -> SortedLines:
    r"""Sort the whole lines of ``block``; ``is_last``: no other block follows.

    >>> found = sort_lines(b'1,"a\nb"\n\n2\n3,c\n', Layout(n_fields=2), is_last=True)
    >>> found.rows, list(found.row_at), found.rejected
    (b'1,"a\nb"\n3,c\n', [0, 4], [(3, b'2', '1 field instead of 2')])
    """
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if _is_plain(block, lines, layout):
        return SortedLines(rows=block, row_at=range(len(lines)), n_lines=len(lines), n_bytes=len(block))

    found, kept, row_at, at = SortedLines(), [], [], 0
    while at < len(lines):
        verdict = _verdict(lines, at, layout)
        if verdict.kind == "unfinished" and not is_last and len(lines) - at < MAX_LINES_OF_A_ROW:
            break  # its quote may close in the next block
        if verdict.kind == "row":
            kept += lines[at : at + verdict.n_lines]
            row_at.append(at)
        elif verdict.kind != "blank":
            found.rejected.append((at, lines[at], verdict.reason))
        at += verdict.n_lines
    found.rows = b"".join(line + b"\n" for line in kept)
    found.row_at = row_at
    found.n_lines = at
    found.n_bytes = len(block) if at == len(lines) else sum(len(line) + 1 for line in lines[:at])
    return found


def _is_plain(block: bytes, lines: Sequence[bytes], layout: Layout) -> bool:
    """Whether every line is a row that needs no parsing: this check takes a tenth of the time."""
    n_delimiters = layout.n_fields - 1
    return (
        n_delimiters > 0  # otherwise a blank line would look like a row of one field
        and not layout.is_blanks
        and b'"' not in block
        and b"\0" not in block
        and block.count(b"\r") == block.count(b"\r\n")
        and not any(note in block for note in (*layout.notes, layout.header) if note)
        and all(line.count(layout.delimiter) == n_delimiters for line in lines)
    )


def _verdict(lines: Sequence[bytes], at: int, layout: Layout) -> _Verdict:
    line = lines[at]
    if not line.strip() and (layout.is_blanks or layout.delimiter not in line):
        return _BLANK
    if layout.is_note(line):
        return _Verdict("rejected", reason=NOTE)
    if b"\0" in line:
        return _Verdict("rejected", reason="a NUL byte")
    if b'"' in line or b"\r" in line[:-1]:
        return _quoted(lines, at, layout)
    n_fields = sum(map(bool, line.strip(b"\r").split(b" "))) if layout.is_blanks else line.count(layout.delimiter) + 1
    return _ROW if n_fields == layout.n_fields else _wrong_number(n_fields, layout)


def _quoted(lines: Sequence[bytes], at: int, layout: Layout) -> _Verdict:
    # nearly every quoted row ends on its first line
    for n_tried in (1,) if layout.is_blanks else (1, MAX_LINES_OF_A_ROW):
        try:
            n_fields, n_lines = _parsed(lines[at : at + n_tried], layout)
            break
        except _QuoteStaysOpen:
            continue
        except csv.Error as error:
            return _Verdict("rejected", reason=_broken(error))
    else:
        return _Verdict("rejected" if layout.is_blanks else "unfinished", reason="a quote is opened and never closed")
    if n_fields == layout.n_fields:
        return _Verdict("row", n_lines=n_lines) if n_lines > 1 else _ROW
    return _wrong_number(n_fields, layout, n_lines=n_lines)


def _broken(error: csv.Error) -> str:
    if "new-line character" in str(error):
        return "a carriage return within the line, outside quotes"
    if "expected after" in str(error):
        return "broken quotes: text follows a closing quote"
    return "broken quotes"


class _QuoteStaysOpen(csv.Error):
    """The lines end within quotes."""


def _parsed(lines: Sequence[bytes], layout: Layout) -> tuple[int, int]:
    """The number of fields in the first row of ``lines``, and its number of lines."""
    texts = [line.decode() for line in lines]
    if layout.is_blanks:
        reader = csv.reader([texts[0].strip(" \r")], delimiter=" ", skipinitialspace=True, strict=True)
    else:
        reader = csv.reader([text + "\n" for text in texts], delimiter=layout.delimiter.decode(), strict=True)
    try:
        return len(next(reader)), reader.line_num
    except csv.Error as error:
        raise (_QuoteStaysOpen() if "unexpected end of data" in str(error) else error) from None


def _wrong_number(n_fields: int, layout: Layout, *, n_lines: int = 1) -> _Verdict:
    # reject only the first line: the lines within its quotes may be rows
    found = f"{n_fields} field{'s' if n_fields != 1 else ''} instead of {layout.n_fields}"
    return _Verdict("rejected", reason=found if n_lines == 1 else f"{found} (a quote on it spans {n_lines} lines)")
