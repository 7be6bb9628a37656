"""Values of a source as exact texts, and cursor values back from them; nothing passes through a float that was none."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from warehouse.errors import PullError

#: A cursor's value: they are compared with each other only within one type.
Cursor: TypeAlias = int | Decimal | date | datetime
#: A cursor beyond this is a mistake of the source, such as 9999-12-31, after which nothing would ever be read.
_AHEAD = timedelta(days=1)


class DateBeyond(date):
    """A date that Python has not, such as PostgreSQL's infinity, with its text; compared as the last or first one."""

    text: str


class TimeBeyond(datetime):
    """A time that Python has not, with its text; compared as the last or first one."""

    text: str


def beyond(text: str, kind: type[date], zone: tzinfo | None = None) -> DateBeyond | TimeBeyond:
    """A ``date`` or ``datetime`` of which the source gave this text."""
    is_first = text.startswith("-") or text.endswith("BC")  # -infinity, and years before the first
    extreme = datetime.min if is_first else datetime.max
    found: DateBeyond | TimeBeyond
    if kind is datetime:
        found = TimeBeyond.combine(extreme, extreme.time(), zone)
    else:
        found = DateBeyond(extreme.year, extreme.month, extreme.day)
    found.text = text
    return found


def text_of(value: Any) -> str | None:  # noqa: PLR0911  # one return a type
    """A value as exact text; None is a missing value. Raises ValueError for a type without one.

    A time with an offset becomes the same moment in UTC; a number keeps all its digits; bytes become hexadecimal; lists
    and objects become JSON.

    >>> text_of(Decimal("1E+3")), text_of(Decimal("0.10")), text_of(12345678901234567890), text_of(0.1)
    ('1000', '0.10', '12345678901234567890', '0.1')
    >>> text_of(datetime.fromisoformat("2024-03-01T20:00:00-05:00")), text_of(True), text_of(b"\\x0a")
    ('2024-03-02 01:00:00+00:00', 'true', '0a')
    """
    match value:
        case None | str():
            return value
        case DateBeyond() | TimeBeyond():
            return value.text
        case bool():
            return str(value).lower()
        case Decimal():
            return format(value, "f")
        case int() | float() | UUID() | timedelta():
            return str(value)
        case datetime():
            return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case list() | tuple() | dict():
            return json_text(value)
    raise ValueError(f"a value of the type {type(value).__name__}, which has no exact text")


def json_text(value: Any) -> str:
    """JSON with every digit of its numbers; raises ValueError for a value that JSON does not have, such as NaN."""
    import simplejson  # of dlt; json and msgspec cannot write a Decimal and a large integer as numbers

    written: str = simplejson.dumps(value, use_decimal=True, ensure_ascii=False, default=text_of, allow_nan=False)
    # half of a character, as \ud800 of JSON may be, is none of UTF-8
    return written if written.isascii() else written.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_json(content: bytes) -> Any:
    """JSON with every digit of its numbers; raises ValueError for other content.

    NaN and Infinity, which JSON does not have and some programs write, are these words: one of them is one bad value.
    """
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=str)
    except RecursionError:
        raise ValueError("objects within objects, too many to read") from None


def cursor_of(text: str) -> Cursor:
    """The cursor value that a text stands for: a number, a date, or a time; raises ValueError for any other text.

    >>> cursor_of("17"), cursor_of("2024-03-01"), cursor_of("2024-03-01T10:00Z").isoformat()
    (17, datetime.date(2024, 3, 1), '2024-03-01T10:00:00+00:00')
    """
    if text.lstrip("-").replace(".", "", 1).isdecimal():
        return Decimal(text) if "." in text else int(text)
    return date.fromisoformat(text) if len(text) == len("2024-03-01") else datetime.fromisoformat(text)


def earlier(cursor: Cursor, look_back: int) -> Cursor:
    """The cursor ``look_back`` before: seconds of a time, days of a date, else the number."""
    if isinstance(cursor, datetime):
        return cursor - timedelta(seconds=look_back)
    return cursor - timedelta(days=look_back) if isinstance(cursor, date) else cursor - look_back


class Furthest:
    """The highest cursor value of the rows read, beginning with that of the pull before.

    Rows of tomorrow or later do not move the cursor, nor do those of another kind of value than the pull before ended
    with or, in a first pull, than most have.
    """

    def __init__(self, column: str, before: str | None, now: datetime) -> None:
        self._column, self._now, self._before = column, now, before
        self._highest: dict[str, tuple[Cursor, str]] = {}
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._n_missing = self._n_ahead = 0
        if before is not None:
            self._highest[_kind(cursor_of(before))] = (cursor_of(before), before)

    @property
    def text(self) -> str | None:
        """The value from which on the next pull reads; None before any."""
        found = self._highest.get(self._moving or "")
        return found[1] if found else None

    def see(self, texts: Iterable[str | None]) -> None:
        """Take the cursor texts of rows into account."""
        for text in texts:
            if not text:
                self._n_missing += 1
                continue
            try:
                value = cursor_of(text)
            except ValueError:
                self._count("text", text)
                continue
            if self._is_ahead(value):
                self._n_ahead += 1
                continue
            kind = _kind(value)
            self._count(kind, text)
            highest = self._highest.get(kind)
            if highest is None or value > highest[0]:  # type: ignore[operator]  # of one kind
                self._highest[kind] = (value, text)

    def require_any(self) -> None:
        """Raise PullError if the rows of a first pull have values, and most are not cursors of one kind."""
        n_unread = self._counts.total() - self._counts[self._moving or ""]
        if self._before is None and n_unread and n_unread >= self._counts[self._moving or ""]:
            found = ", ".join(f"{self._examples[kind]!r} ({n:,} rows)" for kind, n in self._counts.most_common())
            raise PullError(
                f"the cursor {self._column} must have numbers, dates or times as 2024-03-01T10:00:00Z, one kind in all "
                f"rows: found {found}; nothing was loaded. Choose another column as `cursor`, or none, to read all "
                "rows each time"
            )

    def notices(self) -> tuple[str, ...]:
        """What a person should know of the cursor column."""
        found = []
        if self._n_missing:
            found.append(f"rows without a value of {self._column}: {self._n_missing:,}; each pull reads them again")
        if self._n_ahead:
            found.append(f"rows with {self._column} after tomorrow: {self._n_ahead:,}; they do not move the cursor")
        found += [
            f"rows with {self._column} of another kind, such as {self._examples[kind]!r}: {n:,}; they do not move the "
            "cursor"
            for kind, n in self._counts.items()
            if kind != self._moving
        ]
        return tuple(found)

    @property
    def _moving(self) -> str | None:
        """The kind of value that moves the cursor."""
        if self._before is not None:
            return _kind(cursor_of(self._before))
        return next((kind for kind, _ in self._counts.most_common() if kind in self._highest), None)

    def _count(self, kind: str, text: str) -> None:
        self._counts[kind] += 1
        self._examples.setdefault(kind, text[:80])

    def _is_ahead(self, value: Cursor) -> bool:
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)) > self._now + _AHEAD
        return isinstance(value, date) and value > (self._now + _AHEAD).date()


def _kind(value: Cursor) -> str:
    if isinstance(value, datetime):
        return "time" if value.tzinfo is None else "time with offset"
    return "date" if isinstance(value, date) else "number"
