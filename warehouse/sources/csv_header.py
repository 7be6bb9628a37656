"""The header of a CSV file: column names, or what is wrong and how to correct it."""

import csv
from collections.abc import Sequence

from warehouse.raw import column_name

_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
#: The catalog stores a row for each column of each table: 10,000 take 16 s.
MOST_COLUMNS = 10_000
_NAME_CHARACTERS = 200
_SHOWN = 10


class HeaderProblem(Exception):
    """Why a line cannot be the header of a table."""


def column_names(header: str, following: Sequence[str] = ()) -> tuple[str, ...]:
    """The raw column names of a header line; raises HeaderProblem. ``following``: some of the next lines.

    >>> column_names("Loan No.,Größe,金額")
    ('loan_no', 'grosse', '金額')
    """
    fields = _fields(header)
    if len(fields) == 1:
        _require_one_column(header, following)
    if len(fields) > MOST_COLUMNS:
        raise HeaderProblem(f"it has {len(fields):,} columns, and {MOST_COLUMNS:,} at most can be loaded")
    names = tuple(column_name(field) for field in fields)
    unnamed = [position for position, name in enumerate(names) if not name]
    if unnamed:
        raise HeaderProblem(_unnamed(fields, unnamed, following))
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


def other_separator(separator: str) -> str:
    """The problem of a file whose fields are not separated by commas."""
    return f"its fields are separated by {_DELIMITERS.get(separator, repr(separator))}: write it with commas"


def _fields(header: str) -> list[str]:
    try:
        return next(csv.reader([header], strict=True))
    except csv.Error as error:
        for separator in _DELIMITERS:
            if _is_separated_by(separator, header):
                raise HeaderProblem(other_separator(separator)) from None
        if "unexpected end of data" in str(error):
            raise HeaderProblem(
                "the quotes of its header are broken: one is not closed, and a name must not break over lines"
            ) from None
        raise HeaderProblem(
            "the quotes of its header are broken: a quoted name must end where its quotes end"
        ) from None


def _is_separated_by(separator: str, header: str) -> bool:
    try:
        return len(next(csv.reader([header], delimiter=separator, strict=True))) > 1
    except csv.Error:
        return False


def _require_one_column(header: str, following: Sequence[str]) -> None:
    for delimiter in _DELIMITERS:
        if delimiter in header:
            raise HeaderProblem(other_separator(delimiter))
    lines = [line for line in following if line.strip()]
    n_words = len(header.split())
    if n_words > 1 and lines and all(len(line.split()) == n_words for line in lines):
        raise HeaderProblem("its fields are separated by blanks: write it with commas")


def _unnamed(fields: Sequence[str], unnamed: Sequence[int], following: Sequence[str]) -> str:
    columns = ", ".join(str(position + 1) for position in unnamed[:_SHOWN])
    written = [fields[position] for position in unnamed[:_SHOWN] if fields[position].strip()]
    if written:
        return f"a name in its header must have a letter or digit: found {', '.join(map(repr, written))}"
    found = f"its header has no name for column {columns}"
    named_below = next((line for line in following if line.strip()), "")
    if len(fields) > 1 and len(unnamed) >= len(fields) / 2 and named_below.count(",") == len(fields) - 1:
        return f"{found}. Is it a title ({fields[0]!r})? Remove the lines before the header"
    if 0 < unnamed[-1] == len(fields) - 1:
        return f"{found}: its header ends with a comma"
    return found
