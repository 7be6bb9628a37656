"""A sheet of an Excel workbook (.xlsx): its cells as the texts that a person would have typed, dates as 2024-03-01.

The sheet is read whole: 100,000 rows of 20 columns take 5 s and 280 MB, of which calamine takes 2 s (openpyxl 18 s).
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from warehouse.errors import SourceFileError
from warehouse.lenders.files import FileSettings
from warehouse.readers.csv_head import LINES_LOOKED_AT, HeaderProblem, names_of, title_among
from warehouse.readers.csv_lines import NOTE
from warehouse.readers.limits import Limits, require_rows
from warehouse.readers.table_file import VALUE_CHARACTERS, FileLayout, RejectedLine
from warehouse.readers.workbook_parts import PartProblem, error_cells, require_parts, write_workbook
from warehouse.sql.quoting import literal

_BATCH_ROWS = 20_000
_SHOWN_SHEETS = 10
#: Digits that Excel keeps of a number.
_DIGITS = 15


class Workbook:
    """One sheet of a workbook; raises SourceFileError if it cannot be read.

    ``declared``: the sheet, and the rows before the header; else its first visible sheet is read, with a notice if
    there are others, and the header is found below titles; where it stands again, it is not a row. A row's line is its
    number in the sheet. Columns without a name are left out; a row with a value in one is rejected.
    """

    def __init__(self, path: Path, declared: FileSettings | None = None, *, limits: Limits | None = None) -> None:
        self.path = path
        self._limits = limits
        self.rejected: list[RejectedLine] = []
        declared = declared or FileSettings()
        with self._refused():
            require_parts(path, limits)
            sheet, notices = _sheet_of(path, declared.sheet)
            self._sheet: CalamineSheet = sheet
            self._errors = error_cells(path, sheet.name)
            self._header, self._names, self.columns = _header_of(self._texts(), declared.title_lines)
            self._places = tuple(place for place, text in enumerate(self._names) if text)
        self.layout = FileLayout("workbook", title_lines=self._header - 1, sheet=sheet.name, notices=notices)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows in file order: ``columns`` as text, then ``_line``."""
        self.rejected, n_rows = [], 0
        places = [self._places[self.columns.index(column)] for column in columns]
        named = set(self._places)
        rows: list[list[str | None]] = []
        lines: list[int] = []
        for number, row in self._texts():
            unnamed = next((at for at, text in enumerate(row) if text and at not in named), None)
            is_header_again = number > self._header and len(named) > 1 and row == self._names
            if number < self._header or is_header_again:
                self._reject(number, row, NOTE)
            elif number > self._header and unnamed is not None:
                self._reject(number, row, f"a value in column {unnamed + 1}, which has no name in the header")
            elif number > self._header:
                rows.append([row[place] if place < len(row) else None for place in places])
                lines.append(number)
                if len(lines) == _BATCH_ROWS:
                    yield _batch(columns, rows, lines)
                    n_rows, rows, lines = n_rows + len(lines), [], []
                require_rows(self.path, n_rows + len(lines), self._limits)
        if lines:
            yield _batch(columns, rows, lines)

    def write_without(self, lines: Collection[int], to: Path) -> None:
        """Write the sheet to ``to``, its cells as text and the rows of ``lines`` empty."""
        rows = ((number, row) for number, row in self._texts() if number not in lines)
        write_workbook(to, str(self._sheet.name), rows)

    def rejected_field(self, column: str) -> str | None:
        """SQL for a column's text in the ``value`` of a rejected row, by its place; None if it has no such column."""
        if column not in self.columns:
            return None
        return f"split_part(value, {literal(chr(9))}, {self._places[self.columns.index(column)] + 1})"

    def _texts(self) -> Iterator[tuple[int, list[str | None]]]:
        """The rows that are not empty, with their numbers in the sheet."""
        # calamine leaves out empty columns at the left, but not empty rows at the top
        _, first_column = self._sheet.start or (0, 0)
        for number, cells in enumerate(self._sheet.iter_rows(), start=1):
            row = [None] * first_column + [text_of(cell) for cell in cells]
            for at, error in self._errors.get(number, ()):
                row[at] = error
            if any(row):
                yield number, row

    def _reject(self, number: int, row: Sequence[str | None], reason: str) -> None:
        value = "\t".join(text or "" for text in row)[:VALUE_CHARACTERS]
        self.rejected.append(RejectedLine(number, value, reason))

    @contextmanager
    def _refused(self) -> Iterator[None]:
        try:
            yield
        except (HeaderProblem, PartProblem) as problem:
            found = str(problem)
        except (CalamineError, ValueError, OSError) as error:
            found = f"it cannot be read ({error}): save it again, or the sheet as CSV UTF-8"
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # calamine's, for some damaged files
                raise
            found = "it is damaged: save it again, or the sheet as CSV UTF-8"
        else:
            return
        raise SourceFileError(
            f"{self.path.name} must be an Excel workbook whose sheet is a table with a header (docs/files.md): "
            f"{found}; nothing of it was loaded"
        )


def text_of(cell: Any) -> str | None:
    """A cell as a person would have typed it; None if it is empty.

    Excel keeps 15 digits of a number. A longer whole number gets an exponent, so that no id is made of a rounded one.

    >>> text_of(36.0), text_of(0.1 + 0.2), text_of(1234567890123456.0), text_of(True), text_of(date(2024, 3, 1))
    ('36', '0.3', '1.23456789012346e+15', 'true', '2024-03-01')
    """
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float | int):
        return f"{cell:.{_DIGITS}g}"
    if isinstance(cell, datetime):
        moment = (cell + timedelta(microseconds=500)).replace(microsecond=0) if cell.microsecond % 1000 else cell
        return moment.isoformat(sep=" ") if moment.time() != time() else moment.date().isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(cell) or None


def _sheet_of(path: Path, declared: str | None) -> tuple[CalamineSheet, tuple[str, ...]]:
    workbook = CalamineWorkbook.from_path(path)
    known = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    visible = [sheet.name for sheet in known if sheet.visible == SheetVisibleEnum.Visible]
    if declared is not None and declared not in [sheet.name for sheet in known]:
        raise PartProblem(f"its sheet {declared!r} is declared; it has {_listed([sheet.name for sheet in known])}")
    if not known:
        raise PartProblem("it has no sheet of cells")
    name = declared or (visible or [known[0].name])[0]
    found = f"it has {len(visible)} sheets, {_listed(visible)}"
    notice = f"{found}: {name} is read; declare another `sheet` in the lender's file"
    return workbook.get_sheet_by_name(name), (notice,) if declared is None and len(visible) > 1 else ()


def _header_of(
    texts: Iterator[tuple[int, list[str | None]]], title_lines: int | None
) -> tuple[int, list[str | None], tuple[str, ...]]:
    """The header's number, its cells, and the column names."""
    head = [(number, row) for (number, row), _ in zip(texts, range(LINES_LOOKED_AT + (title_lines or 0)), strict=False)]
    if title_lines is not None:
        head = [(number, row) for number, row in head if number > title_lines]
    if not head:
        raise HeaderProblem("the sheet is empty" if title_lines is None else "the sheet holds no header")
    at = 0 if title_lines is not None else title_among([[text or "" for text in row] for _, row in head])
    number, row = head[at]
    return number, row, names_of([text for text in row if text])


def _batch(columns: Sequence[str], rows: Sequence[Sequence[str | None]], lines: Sequence[int]) -> pa.RecordBatch:
    arrays = [pa.array(texts, pa.string()) for texts in zip(*rows, strict=True)]
    return pa.record_batch([*arrays, pa.array(lines, pa.int64())], names=[*columns, "_line"])


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_SHEETS} more" if len(names) > _SHOWN_SHEETS else ""
    return ", ".join(names[:_SHOWN_SHEETS]) + more
