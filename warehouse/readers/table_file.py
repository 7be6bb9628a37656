"""What every reader of a file offers, and how a file was read."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from warehouse.lenders.files import Delimiter, FileSettings

FileFormat = Literal["csv", "json lines", "workbook", "parquet"]
#: Characters kept of a rejected line; as a rejected value (``rejected_rows`` in warehouse/macros/typing.sql).
VALUE_CHARACTERS = 2_000
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "tab": "tabs", "|": "bars"}


@dataclass(frozen=True)
class RejectedLine:
    """A physical line that is not a row, counted from 1. Long values are cut."""

    line: int
    value: str
    reason: str


@dataclass(frozen=True)
class FileLayout:
    """How a file was read; None where its format has no such thing. ``notices``: what a person may want to change."""

    format: FileFormat
    encoding: str | None = None
    delimiter: Delimiter | None = None
    title_lines: int | None = None
    sheet: str | None = None
    notices: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In words, without what is usual.

        >>> str(FileLayout("csv", encoding="cp1252", delimiter=";", title_lines=1))
        'cp1252, semicolons, 1 line before the header'
        >>> str(FileLayout("csv", encoding="utf-8", delimiter=",", title_lines=0))
        ''
        """
        words: list[str] = [] if self.format in ("csv", "parquet") else [self.format]
        if self.encoding not in (None, "utf-8"):
            words.append(str(self.encoding))
        if self.delimiter not in (None, ","):
            words.append(_NAMES.get(str(self.delimiter), str(self.delimiter)))
        if self.sheet is not None:
            words.append(f"sheet {self.sheet}")
        if self.title_lines:
            words.append(f"{self.title_lines} line{'s' if self.title_lines > 1 else ''} before the header")
        return ", ".join(words)

    @property
    def settings(self) -> FileSettings:
        """The declaration by which the file is read in this way again."""
        return FileSettings(
            encoding=self.encoding, delimiter=self.delimiter, title_lines=self.title_lines, sheet=self.sheet
        )


class TableFile(Protocol):
    """A file of rows. ``columns``: raw names; ``rejected``: lines that are not rows, complete after the last batch."""

    path: Path
    columns: tuple[str, ...]
    layout: FileLayout
    rejected: list[RejectedLine]

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows in file order: ``columns`` as text (empty is null), then ``_line``, their first line."""

    def write_without(self, lines: Collection[int], to: Path) -> None:
        """Write the file to ``to`` without the rows of ``lines``; all other rows keep their line."""

    def rejected_field(self, column: str) -> str | None:
        """SQL for a column's text in the ``value`` of a rejected line."""
