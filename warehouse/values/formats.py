"""Parse a text by its format, for files, CSV batches, requests and commands.

dbt reads files by the same grammars, ``warehouse/macros/formats.sql``; ``tests/unit/warehouse/values/test_formats.py``
compares the two. The result depends only on the text and its format; ``docs/formats.md`` documents them.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime

import msgspec

from warehouse.errors import FormatError

_NUMBER = r"[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]+)?)?"
_OFFSET = r"(?:[Zz]|UTC|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
#: Control and invisible characters: soft hyphen, zero-width, direction marks.
UNFIT = r"\x00-\x1f\x7f-\x9f" + "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
#: Format → the grammar of its whole text, without surrounding blanks.
GRAMMARS: Mapping[str, str] = {
    "text": f"[^{UNFIT}]+",
    "id": f"[^{UNFIT}]+",
    "integer": _NUMBER,
    "double": _NUMBER,
    "boolean": "|".join(
        [
            *(
                "".join(f"[{letter.upper()}{letter}]" for letter in word)
                for word in ("true", "false", "yes", "no", "on", "off", "t", "f", "y", "n")
            ),
            "[01](?:[.]0+)?",
        ]
    ),
    "date": f"{_DAY}(?:[Tt ]00:00(?::00(?:[.]0+)?)?)?",
    "timestamp": f"{_DAY}(?:[Tt ]{_CLOCK}(?: ?{_OFFSET})?)?",
}
WHOLE_FLOAT = "([0-9]+)[.]0+"
ROUNDED_NUMBER = "[0-9]+(?:[.][0-9]+[eE][+]?|[eE][+])[0-9]+"
NULL_WORDS = ("", "nan", "na", "n/a", "#n/a", "<na>", "nat", "null", "none")
#: Every Unicode blank (tab and the space separators), and the zero-width ones, which are invisible at an end.
BLANKS = (
    "\u0009\u0020\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    "\u200b\u2060\ufeff"
)
#: Most characters of a platform id and of a looked-up text: 100 fit the online store's keys in any script.
MOST_CHARACTERS = 100
#: Most characters of an id in a lender's file: as above, less the lender's prefix (lc-).
MOST_CHARACTERS_IN_FILE = 80
#: Numbers of greater magnitude are refused: their sums and products would be infinite.
GREATEST = 1e300

#: A common id: nothing to trim, compose or refuse; longer than any null word. Takes a third of the time.
_PLAIN_ID = re.compile("[A-Za-z0-9_-]{5,80}")
_PATTERNS = {name: re.compile(grammar) for name, grammar in GRAMMARS.items()}
_WHOLE_FLOAT, _ROUNDED_NUMBER = re.compile(WHOLE_FLOAT), re.compile(ROUNDED_NUMBER)
#: The first two characters of true, yes, on and 1.
_TRUE = ("tr", "t", "ye", "y", "on", "1", "1.")
_TIME = re.compile(f"({_DAY})(?:[Tt ]([0-9:.]+)(?: ?({_OFFSET}))?)?")


def read_id(text: str, *, most: int = MOST_CHARACTERS) -> str | None:
    """An id in one Unicode form, without surrounding blanks, 1001 for 1001.0; None for NaN or null. Raises FormatError.

    >>> read_id(" 1001.0 "), read_id("Ame\u0301lie") == "Am\u00e9lie", read_id("NaN")
    ('1001', True, None)
    """
    if _PLAIN_ID.fullmatch(text) and len(text) <= most:
        return text
    text = text.strip(BLANKS)
    if text.lower() in NULL_WORDS:
        return None
    whole = _WHOLE_FLOAT.fullmatch(text)
    text = whole[1] if whole else unicodedata.normalize("NFC", text)
    if len(text) > most or not _PATTERNS["id"].fullmatch(text) or _ROUNDED_NUMBER.fullmatch(text):
        raise FormatError(
            f"an id of 1 to {most} characters, none of them a control character or invisible, and no rounded number "
            "such as 1.2E+15"
        )
    return text


def read_text(text: str, *, most: int = MOST_CHARACTERS) -> str | None:
    """A text in one Unicode form, without surrounding blanks; None for an empty one. Raises FormatError."""
    text = unicodedata.normalize("NFC", text.strip(BLANKS))
    if not text:
        return None
    if len(text) > most or not _PATTERNS["text"].fullmatch(text):
        raise FormatError(f"a text of 1 to {most} characters, none of them a control character or invisible")
    return text


def read_number(text: str) -> int | float | None:
    """A number, an int if only digits are written. Raises FormatError, also if a double cannot hold it.

    >>> read_number("-12"), read_number("1e3"), read_number("n/a")
    (-12, 1000.0, None)
    """
    found = _formed(text, "double", "a number")
    if found is None:
        return None
    with _refused_as("a number"):
        # Python refuses integers with thousands of digits, which exceed the limits anyway
        return checked_number(int(found) if re.fullmatch("[+-]?[0-9]{1,300}", found) else float(found), found)


def checked_number(number: int | float, text: str) -> int | float:
    """The number parsed from ``text``; raises FormatError if a double cannot hold it.

    >>> checked_number(float("1e-400"), "1e-400")
    Traceback (most recent call last):
    ...
    warehouse.errors.FormatError: a number that is 0 only where 0 is written, and within 1e+300 in size
    """
    vanished = number == 0 and re.search("[1-9]", re.split("[eE]", text)[0])
    if vanished or not abs(number) <= GREATEST:
        raise FormatError(f"a number that is 0 only where 0 is written, and within {GREATEST:g} in size")
    return number


def read_boolean(text: str) -> bool | None:
    """True or false, also written as yes or no, on or off, 1 or 0. Raises FormatError."""
    found = _formed(text, "boolean", "true or false, also written as yes or no, on or off, 1 or 0")
    return None if found is None else found[:2].lower() in _TRUE


def read_date(text: str) -> date | None:
    """A day, also written as its first moment. Raises FormatError."""
    rule = "a date such as 2026-01-31"
    found = _formed(text, "date", rule)
    if found is None:
        return None
    with _refused_as(rule):
        return date.fromisoformat(found[:10])


def read_time(text: str) -> datetime | None:
    """A time, with its offset if any; for a date, its first moment. Raises FormatError."""
    rule = "a time such as 2026-01-31T09:30:00Z (UTC where no offset is given); named time zones are not read"
    found = _formed(text, "timestamp", rule)
    parts = _TIME.fullmatch(found) if found is not None else None
    if parts is None:
        return None
    clock, offset = parts[2] or "00:00:00", parts[3] or ""
    clock += ":00" if len(clock) == len("00:00") else ""
    offset += ":00" if len(offset) == len("+00") and offset[0] in "+-" else ""
    with _refused_as(rule):  # such as 30 February; rounded to the microsecond, as in JSON
        return msgspec.convert(f"{parts[1]}T{clock}{'Z' if offset == 'UTC' else offset}", datetime)


def _formed(text: str, name: str, rule: str) -> str | None:
    text = text.strip(BLANKS)
    if text.lower() in NULL_WORDS:
        return None
    if not _PATTERNS[name].fullmatch(text):
        raise FormatError(rule)
    return text


@contextmanager
def _refused_as(rule: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, msgspec.ValidationError):
        raise FormatError(rule) from None
