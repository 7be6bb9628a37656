"""DuckDB's scalar functions in Python, where no single Python expression is equal.

Each accepts non-null values and returns what DuckDB 1.5 returns, to the bit, or raises ExpressionDomainError where
DuckDB's query fails. ``tests/unit/warehouse/features/test_expressions_against_duckdb.py`` pins the edge cases.
"""

import math
from datetime import date, datetime, timedelta
from typing import Any, NoReturn

from warehouse.errors import ExpressionDomainError
from warehouse.features.expressions.sql_types import INTEGER_BOUNDS, PYTHON_TYPES, SqlType


def divide_by_zero(numerator: float, zero: float) -> float:
    """``x / 0.0`` of IEEE 754, which Python refuses: an infinity, or NaN for 0/0."""
    if numerator != numerator or numerator == 0.0:  # noqa: PLR0124 - NaN differs from itself
        return math.nan
    return math.copysign(math.inf, numerator) * math.copysign(1.0, zero)


def remainder(a: float, b: float) -> float:
    """``%`` of doubles: C's fmod, sign of the dividend; NaN where Python would raise."""
    try:
        return math.fmod(a, b)
    except ValueError:
        return math.nan


def whole_quotient(a: int, b: int) -> int | None:
    """``//`` of integers: truncated towards zero; null for a zero divisor."""
    if b == 0:
        return None
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def whole_remainder(a: int, b: int, lowest: int) -> int | None:
    """``%`` of integers: sign of the dividend; null for a zero divisor; -1 overflows for the type's lowest number."""
    if b == 0:
        return None
    if b == -1 and a == lowest:
        raise ExpressionDomainError(f"{a} % {b} overflows; compute it as double")
    rest = abs(a) % abs(b)
    return -rest if a < 0 else rest


def narrow(value: int, low: int, high: int) -> int:
    """``cast(bigint as integer)``."""
    if not low <= value <= high:
        raise ExpressionDomainError(f"{value} cannot be cast to a whole number within {low}..{high}")
    return value


def overflow(value: int, type_name: str) -> NoReturn:
    """An integer result outside its type."""
    raise ExpressionDomainError(f"the result {value} does not fit {type_name}; compute it as double")


def outside_domain(name: str, needed: str, x: float) -> float:
    """A logarithm or square root of NaN (NaN), or of another number outside its domain (an error)."""
    if x != x:  # noqa: PLR0124 - NaN differs from itself
        return x
    raise ExpressionDomainError(f"{name} needs {needed}: found {x!r}")


def exponential(x: float) -> float:
    """``exp``: infinity where the result is beyond the greatest double."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def power(x: float, y: float) -> float:
    """``pow`` of C99: infinities and NaN where Python would raise."""
    try:
        return math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0.0 and math.fmod(y, 2.0) != 0.0 else math.inf
    except ValueError:
        if x != 0.0:
            return math.nan  # a negative base with a fractional exponent
        odd = math.fmod(y, 2.0) in (1.0, -1.0)
        return math.copysign(math.inf, x) if odd else math.inf


def floor(x: float) -> float:
    """The greatest whole number not above x, as a double; keeps -0.0 and infinities."""
    return x // 1.0 if -math.inf < x < math.inf else x


def ceiling(x: float) -> float:
    """The smallest whole number not below x, as a double; ``-0.0`` within (-1, 0)."""
    return -(-x // 1.0) if -math.inf < x < math.inf else x


def round_half_away(x: float) -> float:
    """C's round: halves away from zero, and ``-0.2`` to ``-0.0``."""
    if not -math.inf < x < math.inf:
        return x
    magnitude = abs(x)
    whole = magnitude // 1.0
    if magnitude - whole >= 0.5:
        whole += 1.0
    return math.copysign(whole, x)


def round_to_digits(x: float, modifier: float) -> float:
    """``round(x, n)`` for n >= 0; ``modifier`` is 10 to the n. Scaled, rounded and scaled back in doubles."""
    rounded = round_half_away(x * modifier) / modifier
    return rounded if -math.inf < rounded < math.inf else x


def round_to_tens(x: float, modifier: float) -> float:
    """``round(x, n)`` for n < 0; ``modifier`` is 10 to the -n. DuckDB returns 0 where scaling leaves the doubles."""
    rounded = round_half_away(x / modifier) * modifier
    return rounded if -math.inf < rounded < math.inf else 0.0


def sign(x: float) -> int:
    """-1, 0 or 1; 0 for NaN."""
    return (x > 0) - (x < 0)


def double_to_integer(x: float, low: int, high: int) -> int:
    """``cast(double as integer)``: nearest, halves to even; raises where ``try_cast`` gives null.

    DuckDB checks the range before it rounds, so it wraps 2147483647.5 to -2147483648; that raises here.
    """
    whole = try_double_to_integer(x, low, high)
    if whole is None:
        raise ExpressionDomainError(f"{x!r} cannot be cast to a whole number within {low}..{high}")
    return whole


def try_double_to_integer(x: float, low: int, high: int) -> int | None:
    """``try_cast(double as integer)``; null outside the range."""
    if not low <= x < high + 1:
        return None
    whole = round(x)
    if whole > high:
        raise ExpressionDomainError(f"{x!r} rounds beyond {high}; DuckDB would wrap it around")
    return whole


def lower(text: str) -> str:
    """Lower case character by character, as in DuckDB: ignores context (final sigma) and adds no characters."""
    if text.isascii():
        return text.lower()
    return "".join(_LOWER.get(character) or character.lower() for character in text)


def upper(text: str) -> str:
    """Upper case character by character, as in DuckDB: letters without a one-character capital stay (ŉ); ß has one."""
    if text.isascii():
        return text.upper()
    capitals = ((character, _UPPER.get(character) or character.upper()) for character in text)
    return "".join(capital if len(capital) == 1 else character for character, capital in capitals)


def trim(text: str) -> str:
    """Without leading and trailing Unicode spaces; keeps tabs and line ends, as DuckDB does."""
    return text.strip(_SPACES)


def timestamp_text(moment: datetime) -> str:
    """``cast(timestamp as varchar)``: microseconds without trailing zeros."""
    text = moment.isoformat(" ")
    return text.rstrip("0") if moment.microsecond else text


def midnight(day: date) -> datetime:
    """``cast(date as timestamp)``."""
    return datetime(day.year, day.month, day.day)


def add_days(day: date, days: int) -> date:
    """``date + integer``."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        raise ExpressionDomainError(f"{day} and {days} days lies outside the years 1 to 9999") from None


def months_between(start: date, end: date) -> int:
    """``date_diff('month', start, end)``: month boundaries crossed, not whole months elapsed."""
    return (end.year - start.year) * 12 + end.month - start.month


def quarters_between(start: date, end: date) -> int:
    """``date_diff('quarter', start, end)``: quarter boundaries crossed."""
    return (end.year - start.year) * 4 + (end.month - 1) // 3 - (start.month - 1) // 3


def checked_input(value: Any, name: str, type_name: str) -> Any:
    """Convert a value that does not have the column's Python type, without loss; else raise ExpressionDomainError.

    Accepts a whole number for a double, and a NumPy scalar for its Python equal; never a boolean for a number.
    """
    converted: Any = value.item() if hasattr(value, "dtype") and hasattr(value, "item") else value
    if type_name == "DOUBLE" and type(converted) is int and abs(converted) <= 2**53:
        converted = float(converted)
    # exact types: bool is an int, datetime is a date, and pandas' Timestamp is a datetime with nanoseconds
    sql_type = SqlType(type_name)
    required = PYTHON_TYPES[sql_type]
    if type(converted) is not required or getattr(converted, "tzinfo", None) is not None:
        raise ExpressionDomainError(
            f"input {name} must be {required.__name__} for {type_name}, without a time zone: "
            f"found {type(value).__name__} {value!r}"
        )
    if isinstance(converted, int) and sql_type in INTEGER_BOUNDS:
        low, high = INTEGER_BOUNDS[sql_type]
        if not low <= converted <= high:
            raise ExpressionDomainError(f"input {name} must fit {type_name}: found {value!r}")
    return converted


# where DuckDB differs from str.lower of one character: İ, and the capitals new in Unicode 16 (Python 3.14)
_NEW_CAPITALS = ("\u1c89", "\ua7cb", "\ua7cc", "\ua7da", "\ua7dc", *map(chr, range(0x10D50, 0x10D66)))
_LOWER = {"İ": "i", **{capital: capital for capital in _NEW_CAPITALS}}
# where str.upper gives two characters (ß, Greek vowels with an iota below), and letters with capitals new in Unicode 16
_WITH_IOTA = (*range(0x1F80, 0x1F88), *range(0x1F90, 0x1F98), *range(0x1FA0, 0x1FA8), 0x1FB3, 0x1FC3, 0x1FF3)
_NEW_SMALL = ("\u0264", "\u019b", "\u1c8a", "\ua7cd", "\ua7db", *map(chr, range(0x10D70, 0x10D86)))
_UPPER = {
    "ß": "ẞ",
    **{chr(code): chr(code).title() for code in _WITH_IOTA},
    **{small: small for small in _NEW_SMALL},
}
# Unicode category Zs
_SPACES = "\u0020\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
