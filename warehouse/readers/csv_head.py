"""The head of a CSV file: what separates its fields, which line is its header, and its column names.

What the lender's file does not declare is found in the first lines. Where these can be read in two ways, nothing is
guessed: the message names the key to declare.
"""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warehouse.lenders.files import Delimiter, FileSettings
from warehouse.raw import column_name

#: Lines from which a delimiter and the header are found.
LINES_LOOKED_AT = 60
#: The catalog stores a row for each column of each table: 10,000 take 16 s.
MOST_COLUMNS = 10_000
_MOST_TITLES = 20
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_TRIED = (",", ";", "\t", "|")
_NAME_CHARACTERS = 200
_SHOWN = 10
#: Of the lines below a header, how many have its number of fields at least.
_ALIKE = 0.8


class HeaderProblem(Exception):
    """Why a line cannot be the header of a table."""


@dataclass(frozen=True)
class CsvHead:
    """``line``: the header's number, from 1."""

    delimiter: str
    line: int
    columns: tuple[str, ...]

    @property
    def declared_as(self) -> Delimiter:
        """The delimiter as the lender's file names it."""
        return "blanks" if self.delimiter == " " else self.delimiter  # type: ignore[return-value]  # of _TRIED


def find_head(lines: Sequence[str], declared: FileSettings, is_note: Callable[[str], bool]) -> CsvHead:
    """The head of a file that begins with ``lines``; raises HeaderProblem."""
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and not is_note(line)]
    delimiter = declared.separator
    if numbered and (named := separator_of(numbered[0][1])) is not None:  # Excel's own first line
        delimiter, numbered = delimiter or named, numbered[1:]
    if declared.title_lines is not None:
        numbered = [(number, line) for number, line in numbered if number > declared.title_lines]
    if not numbered:
        raise HeaderProblem("it holds no header" if lines else "it is empty")
    texts = [line for _, line in numbered]
    at = 0 if declared.title_lines is not None else _header_among(texts, [delimiter] if delimiter else _TRIED)
    found = delimiter or _delimiter_of(texts[at], texts[at + 1 :])
    return CsvHead(found, numbered[at][0], column_names(texts[at], delimiter=found))


def column_names(header: str, *, delimiter: str = ",") -> tuple[str, ...]:
    """The raw column names of a header line; raises HeaderProblem.

    >>> column_names("Loan No.,Größe,金額")
    ('loan_no', 'grosse', '金額')
    """
    try:
        fields = split(header, delimiter)
    except csv.Error as error:
        rule = (
            "one is not closed, and a name must not break over lines"
            if "unexpected end of data" in str(error)
            else "a quoted name must end where its quotes end"
        )
        raise HeaderProblem(f"the quotes of its header are broken: {rule}") from None
    return names_of(fields)


def names_of(fields: Sequence[str]) -> tuple[str, ...]:
    """The raw column names of a header's fields; raises HeaderProblem."""
    if len(fields) > MOST_COLUMNS:
        raise HeaderProblem(f"it has {len(fields):,} columns, and {MOST_COLUMNS:,} at most can be loaded")
    names = tuple(column_name(field) for field in fields)
    unnamed = [position for position, name in enumerate(names) if not name]
    if unnamed:
        raise HeaderProblem(_unnamed(fields, unnamed))
    long = [position for position, name in enumerate(names, start=1) if len(name) > _NAME_CHARACTERS]
    if long:
        raise HeaderProblem(f"the name of column {long[0]} is longer than {_NAME_CHARACTERS} characters")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise HeaderProblem(f"its header names columns twice: {', '.join(twice[:_SHOWN])}")
    return names


def separator_of(line: str) -> str | None:
    """The separator that Excel's own first line (``sep=;``) declares; None for any other line.

    >>> separator_of("sep=;"), separator_of("id;amount")
    (';', None)
    """
    text = line.strip("\r\n").strip('"')
    return text[4:] if text.lower().startswith("sep=") and len(text) == len("sep=,") else None


def other_separator(header: str) -> str | None:
    """Why a header whose fields must be separated by commas is refused; None if it may be one.

    >>> other_separator("id;amount"), other_separator("id")
    ('its fields are separated by semicolons: write it with commas', None)
    """
    named = separator_of(header)
    separators = [named] if named else [each for each in _TRIED[1:] if _n_fields(header, each) > 1]
    found = next((separator for separator in separators if separator != ","), None)
    return f"its fields are separated by {_named(found)}: write it with commas" if found else None


def split(line: str, delimiter: str) -> list[str]:
    """The fields of one line; raises csv.Error. A blank as delimiter stands for one or more."""
    is_blanks = delimiter == " "
    return next(
        csv.reader(
            [line.strip(" ") if is_blanks else line], delimiter=delimiter, strict=True, skipinitialspace=is_blanks
        ),
        [],
    )


def title_among(rows: Sequence[Sequence[str]]) -> int:
    """The position of the header among a table's first rows: below titles, each with one field that is not empty.

    A row is a header only if it shows: each field is a name, and the fields below one of them are figures.
    """
    if len([field for field in rows[0] if field.strip()]) > 1:
        return 0
    for at, row in enumerate(rows[: _MOST_TITLES + 1]):
        if len([field for field in row if field.strip()]) > 1:
            return at if _shows(row, rows[at + 1 :]) else 0
    return 0


def _header_among(lines: Sequence[str], delimiters: Sequence[str]) -> int:
    """The same for lines: the first line with more than one field by any delimiter may be the header."""
    tables = [[_fields(line, delimiter) for line in lines] for delimiter in delimiters]
    found = {at for rows in tables if (at := title_among(rows))}
    begins = [next((at for at, row in enumerate(rows) if sum(map(bool, row)) > 1), len(rows)) for rows in tables]
    return found.pop() if len(found) == 1 and min(begins) in found else 0


def _shows(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    rows = [row for row in rows if row != names]  # the header again
    alike = [row for row in rows if len(row) == len(names)]
    named = [at for at, name in enumerate(names) if name.strip()]
    # of a few rows, one may be broken
    if (
        not alike
        or len(alike) < min(_ALIKE * len(rows), len(rows) - 1)
        or not all(any(map(str.isalpha, names[at])) for at in named)
    ):
        return False
    columns = [[row[at] for row in alike if row[at].strip()] for at in named]
    return any(values and all(map(_is_figure, values)) for values in columns)


def _is_figure(text: str) -> bool:
    return re.search("[0-9]", text) is not None and not any(map(str.isalpha, text))


def _delimiter_of(header: str, following: Sequence[str]) -> str:
    wide = [delimiter for delimiter in _TRIED if _n_fields(header, delimiter) > 1]
    if len(wide) > 1 and following:
        wide = [each for each in wide if _share_alike(each, _n_fields(header, each), following) >= 0.5] or wide
    if len(wide) > 1:
        found = " or ".join(_named(delimiter) for delimiter in wide)
        raise HeaderProblem(f"its fields may be separated by {found}: declare its `delimiter` in the lender's file")
    return wide[0] if wide else _blanks_or_one_column(header, following)


def _blanks_or_one_column(header: str, following: Sequence[str]) -> str:
    n_words = len(header.split())
    if '"' in header or n_words == 1 or not following or _share_alike(" ", n_words, following) < 1:
        return ","
    if n_words == 2:
        raise HeaderProblem(
            "its fields may be separated by blanks, or it has one column: declare its `delimiter`, blanks or a comma, "
            "in the lender's file"
        )
    return " "


def _share_alike(delimiter: str, n_fields: int, lines: Sequence[str]) -> float:
    return sum(_n_fields(line, delimiter) == n_fields for line in lines) / len(lines)


def _n_fields(line: str, delimiter: str) -> int:
    try:
        return len(split(line, delimiter))
    except csv.Error:
        return 0


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return split(line, delimiter)
    except csv.Error:
        return [line, line]  # a quote that is not closed is not a title


def _named(delimiter: str) -> str:
    return _NAMES.get(delimiter, repr(delimiter))


def _unnamed(fields: Sequence[str], unnamed: Sequence[int]) -> str:
    columns = ", ".join(str(position + 1) for position in unnamed[:_SHOWN])
    written = [fields[position] for position in unnamed[:_SHOWN] if fields[position].strip()]
    if written:
        return f"a name in its header must have a letter or digit: found {', '.join(map(repr, written))}"
    found = f"its header has no name for column {columns}"
    if len(fields) > 1 and len(unnamed) >= len(fields) / 2:
        title = f"Is it a title ({fields[0]!r})? Declare its `title_lines`, the lines before the header"
        return f"{found}. {title}, in the lender's file"
    if 0 < unnamed[-1] == len(fields) - 1:
        return f"{found}: its header ends with a separator"
    return found
