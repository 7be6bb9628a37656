"""Dates, times and months by their shape; where day and month may be exchanged, both readings are kept as a choice."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from warehouse.profiling.profile import ColumnProfile, Shape

Form = Literal["date", "timestamp", "month"]
DATE_KINDS: Mapping[Form, Literal["date", "timestamp", "month"]] = {
    "date": "date",
    "timestamp": "timestamp",
    "month": "month",
}
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_LONG_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
#: Token → its shape; long tokens first.
_TOKENS = {
    "YYYY": "9999",
    "YY": "99",
    "Month": f"(?:{_LONG_MONTHS})",
    "Mon": f"(?:{_MONTHS})",
    "MM": "99",
    "DD": "99",
    "HH": "99",
    "mm": "99",
    "SS": "99",
    "AM": "[ap](?:m|[.]m[.])",
    "M": "9{1,2}",
    "D": "9{1,2}",
    "H": "9{1,2}",
}
#: Times after a day; of two that fit the same texts, the first is proposed.
_TIMES = ("HH:mm", "HH:mm:SS", "H:mm", "H:mm:SS")
#: Digits alone are a day by these limits: 1950 to 2099.
_FIRST_DIGITS, _LAST_DIGITS = 19_500_101, 20_991_231
#: The most patterns of one column; beyond them it is not a column of dates.
_MOST_PATTERNS = 3
# whole days since 1960 (SAS), 1899-12-30 (Excel) and 1970 (Unix) of 1990 to 2049; the ranges of SAS and Unix overlap
_EPOCH_DAYS = {"sas": (10_957, 32_872), "excel": (32_874, 54_789), "unix": (7_305, 29_220)}
_EPOCH_TIMES = {"unix_seconds": (6.3e8, 2.6e9), "unix_milliseconds": (6.3e11, 2.6e12)}


class _Candidate(NamedTuple):
    pattern: str | None  # None: the format's own spelling, which needs no key
    form: Form
    shape: re.Pattern[str]


@dataclass(frozen=True)
class DateSpelling:
    """How many texts are dates, the keys of their reading, and what a person must choose."""

    form: Form
    n: int
    keys: Mapping[str, Any]
    choices: Mapping[str, tuple[str, ...]]
    fitting: frozenset[str]


def date_spelling(shapes: Sequence[Shape], column: ColumnProfile, *, may_be_digits: bool) -> DateSpelling | None:
    """The spelling of most shapes that are dates; None if none is."""
    if may_be_digits and (epoch := _epoch(shapes, column)) is not None:
        return epoch
    rest, chosen = list(shapes), list[_Candidate]()
    while rest and len(chosen) < _MOST_PATTERNS:
        best = _best(rest, column, chosen, may_be_digits=may_be_digits)
        if best is None:
            break
        chosen.append(best)
        rest = [shape for shape in rest if not best.shape.fullmatch(shape.text)]
    if not chosen:
        return None
    fitting = [shape for shape in shapes if shape not in rest]
    return DateSpelling(
        form=_form(chosen),
        n=sum(shape.n for shape in fitting),
        keys=_keys(chosen),
        choices=_choices(chosen, column),
        fitting=frozenset(shape.text for shape in fitting),
    )


def _best(
    shapes: Sequence[Shape], column: ColumnProfile, chosen: Sequence[_Candidate], *, may_be_digits: bool
) -> _Candidate | None:
    def n(candidate: _Candidate) -> int:
        return sum(shape.n for shape in shapes if candidate.shape.fullmatch(shape.text))

    possible = [
        each
        for each in _CANDIDATES
        if _is_possible(each, column, may_be_digits=may_be_digits)
        and (not chosen or (each.form == "month") == (chosen[0].form == "month"))
    ]
    best = max(possible, key=n)  # the first of equals
    return best if n(best) else None


def _is_possible(candidate: _Candidate, column: ColumnProfile, *, may_be_digits: bool) -> bool:
    pattern = candidate.pattern or ""
    if pattern == "YYYYMMDD":
        low, high = column.low or 0, column.high or 0
        return may_be_digits and low >= _FIRST_DIGITS and high <= _LAST_DIGITS
    if _is_day_first(pattern):
        return column.second_part <= 12
    if _is_month_first(pattern):
        return column.first_part <= 12
    return True


def _is_day_first(pattern: str) -> bool:
    return re.match("D{1,2}[^DM]M{1,2}[^Mo]", pattern) is not None


def _is_month_first(pattern: str) -> bool:
    return re.match("M{1,2}[^DM]D", pattern) is not None


def _form(chosen: Sequence[_Candidate]) -> Form:
    return "timestamp" if any(each.form == "timestamp" for each in chosen) else chosen[0].form


def _keys(chosen: Sequence[_Candidate]) -> dict[str, Any]:
    if len(chosen) == 1 and chosen[0].pattern is None:
        return {}
    own = {"date": "YYYY-MM-DD", "timestamp": "YYYY-MM-DD HH:mm:SS", "month": "Mon-YYYY"}
    patterns = [each.pattern or own[each.form] for each in chosen]
    return {"pattern": patterns[0] if len(patterns) == 1 else patterns, **pivot_of(patterns)}


def pivot_of(patterns: Sequence[str]) -> dict[str, int]:
    """The key ``pivot`` that patterns with a short year need; without one they have none.

    >>> pivot_of(["DD/MM/YYYY"])
    {}
    """
    if any(re.search("(?<!Y)YY(?!Y)", pattern) for pattern in patterns):
        # what has happened lies before next year: in 2028, 29 is 1929
        return {"pivot": (datetime.now(UTC).year + 1) % 100}
    return {}


def _choices(chosen: Sequence[_Candidate], column: ColumnProfile) -> dict[str, tuple[str, ...]]:
    """Day or month first, where no part is above 12; 03.04.2024 is written with the day first wherever it is used."""
    first = chosen[0].pattern or ""
    if len(chosen) > 1 or not _is_day_first(first) or "." in first:
        return {}
    if column.first_part > 12:
        return {}
    exchanged = re.sub("^(D+)(.)(M+)", r"\3\2\1", first)
    return {"pattern": (first, exchanged)}


def _epoch(shapes: Sequence[Shape], column: ColumnProfile) -> DateSpelling | None:
    digits = [shape for shape in shapes if re.fullmatch("9+", shape.text)]
    if not digits or column.low is None or column.high is None:
        return None
    n, fitting = sum(shape.n for shape in digits), frozenset(shape.text for shape in digits)
    if 2 * n < sum(shape.n for shape in shapes):  # a few among dates
        return None
    for name, (low, high) in _EPOCH_TIMES.items():
        if low <= column.low and column.high <= high:
            return DateSpelling("timestamp", n, {"epoch": name}, {}, fitting)
    names = tuple(name for name, (low, high) in _EPOCH_DAYS.items() if low <= column.low and column.high <= high)
    if not names:
        return None
    choices = {"epoch": names} if len(names) > 1 else {}
    return DateSpelling("date", n, {"epoch": names[0]}, choices, fitting)


def _candidates() -> Iterator[_Candidate]:
    yield _Candidate(None, "date", _shape("YYYY-MM-DD"))
    clock = "99:99(?::99(?:[.]9+)?)?"
    yield _Candidate(None, "timestamp", re.compile(f"9999-99-99(?:[Tt ]{clock}(?: ?(?:[Zz]|UTC|[+-]99(?::?99)?))?)?"))
    days = ["YYYY/MM/DD", "YYYY.MM.DD", "YYYYMMDD", "YYYY-M-D", "YYYY/M/D", "DDMonYYYY", "DDMonYY"]
    for year in ("YYYY", "YY"):
        for mark in "/-. ":
            days += [f"{day}{mark}{month}{mark}{year}" for day, month in (("DD", "MM"), ("MM", "DD"))]
            days += [f"{day}{mark}{month}{mark}{year}" for day, month in (("D", "M"), ("M", "D"))]
            days += [f"{day}{mark}{month}{mark}{year}" for month in ("Mon", "Month") for day in ("DD", "D")]
    days += [f"{month} {day}, YYYY" for month in ("Mon", "Month") for day in ("DD", "D")]
    for day in days:
        yield _Candidate(day, "date", _shape(day))
    for day in days:
        for time in (*(f" {each}" for each in _TIMES), "THH:mm:SS"):
            yield _Candidate(day + time, "timestamp", _shape(day + time))
    for day in ("YYYY-MM-DD", *days):
        for time in (f" {each}{gap}AM" for each in _TIMES for gap in (" ", "")):
            yield _Candidate(day + time, "timestamp", _shape(day + time))
    yield _Candidate(None, "month", re.compile(f"(?:{_MONTHS})-9999", re.IGNORECASE))
    for month in ("YYYY-MM", "YYYY/MM", "MM/YYYY", "MM-YYYY", "MM.YYYY", "M/YYYY", "Mon YYYY", "Month YYYY"):
        yield _Candidate(month, "month", _shape(month))
    for month in ("Mon-YY", "Mon YY", "MM/YY"):
        yield _Candidate(month, "month", _shape(month))


def _shape(pattern: str) -> re.Pattern[str]:
    tokens = "|".join(_TOKENS)
    parts = re.split(f"({tokens})", pattern)
    return re.compile("".join(_TOKENS.get(part, re.escape(part)) for part in parts), re.IGNORECASE)


_CANDIDATES = tuple(_candidates())
