"""Values of a source as exact texts, and cursor values back from them; nothing passes through a float that was none."""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from warehouse.errors import PullError

#: A cursor's value: they are compared with each other only within one type.
Cursor: TypeAlias = int | Decimal | date | datetime
#: A cursor beyond this is a mistake of the source, such as 9999-12-31, after which nothing would ever be read.
_AHEAD = timedelta(days=1)


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
    return written


def read_json(content: bytes) -> Any:
    """JSON with every digit of its numbers; raises ValueError for other content."""
    return json.loads(content, parse_float=Decimal, parse_constant=_refused)


def _refused(word: str) -> None:
    raise ValueError(f"{word}, which is not JSON")


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

    ``n_missing``: rows without one; ``n_ahead``: rows of tomorrow or later, which do not move the cursor.
    """

    def __init__(self, column: str, before: str | None, now: datetime) -> None:
        self._column, self._now = column, now
        self.text, self._value = before, None if before is None else cursor_of(before)
        self.n_missing = self.n_ahead = 0

    def see(self, texts: Iterable[str | None]) -> None:
        """Take the cursor texts of rows into account; raises PullError for a text that is no cursor, or two kinds."""
        for text in texts:
            if not text:
                self.n_missing += 1
                continue
            try:
                value = cursor_of(text)
                if self._is_ahead(value):
                    self.n_ahead += 1
                elif self._value is None or value > self._value:  # type: ignore[operator]  # TypeError says so
                    self._value, self.text = value, text
            except (ValueError, TypeError):
                raise PullError(
                    f"the cursor {self._column} must have numbers, dates or times as 2024-03-01T10:00:00Z, one kind in "
                    f"all rows: found {text[:80]!r}"
                    + (f" after {self.text!r}" if self.text else "")
                    + "; nothing was loaded. Choose another column as `cursor`, or none, to read all rows each time"
                ) from None

    def _is_ahead(self, value: Cursor) -> bool:
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)) > self._now + _AHEAD
        return isinstance(value, date) and value > (self._now + _AHEAD).date()

    def notices(self) -> tuple[str, ...]:
        """What a person should know of the cursor column."""
        found = []
        if self.n_missing:
            found.append(f"rows without a value of {self._column}: {self.n_missing:,}; each pull reads them again")
        if self.n_ahead:
            found.append(f"rows with {self._column} after tomorrow: {self.n_ahead:,}; they do not move the cursor")
        return tuple(found)
