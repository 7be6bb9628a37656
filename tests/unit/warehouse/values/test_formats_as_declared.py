"""Numbers and dates as lenders write them: by declaration, each cell alone, and nothing that is ambiguous.

An own reading in plain Python, without regular expressions, is compared with the SQL over texts that hypothesis makes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.warehouse.values.test_formats import cells

GAPS = " \u00a0\u202f"
NUMBERS: list[dict[str, Any]] = [
    {"decimal": ","},
    {"thousands": ","},
    {"decimal": ",", "thousands": "."},
    {"decimal": ",", "thousands": "space", "currency": ["€", "EUR"]},
    {"thousands": "'", "currency": "CHF", "negative": "trailing"},
    {"thousands": ",", "currency": ["$", "US$", "USD"], "negative": "parentheses"},
    {"thousands": "lakh", "currency": ["Rs.", "INR"]},
    {"negative": "parentheses"},
]
SEPARATORS = {"space": " \u00a0\u2009\u202f", "'": "'\u2019", "lakh": ","}


DIGITS = "0123456789"


def number_by_hand(text: str, declared: Mapping[str, Any]) -> float | None:
    """One currency at an end, inside or outside of one sign or pair of parentheses; then the number alone."""
    currencies = declared.get("currency", [])
    currencies = [currencies] if isinstance(currencies, str) else currencies
    found = {
        sign * number
        for sign, inner in (*signed(text, declared), (1, text))
        for bare in without_currency(inner, currencies)
        for inner_sign, digits in (signed(bare, declared) if inner is text else [(1, bare)])
        if (number := digits_by_hand(digits, declared)) is not None
        for sign in (sign * inner_sign,)
    }
    assert len(found) <= 1, f"{text!r} has two meanings"
    return found.pop() if found else None


def signed(text: str, declared: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    yield 1, text
    if text[:1] in ("+", "-"):
        rest = text[1:]
        yield (-1 if text[0] == "-" else 1), rest.removeprefix(" ") if rest[1:2] not in (*DIGITS, ".") else rest
    if declared.get("negative") == "parentheses" and text[:1] + text[-1:] == "()" and text[1:-1][:1] not in ("+", "-"):
        yield -1, text[1:-1]
    if declared.get("negative") == "trailing" and text[-1:] == "-" and text[:1] not in ("+", "-"):
        yield -1, text[:-1].removesuffix(" ")


def without_currency(text: str, currencies: Sequence[str]) -> set[str]:
    found = {text}
    for currency in currencies:
        if text.startswith(currency):
            found.add(text.removeprefix(currency).lstrip(GAPS))
        if text.endswith(currency):
            found.add(text.removesuffix(currency).rstrip(GAPS))
    return found


def digits_by_hand(text: str, declared: Mapping[str, Any]) -> float | None:
    whole, _, fraction = text.partition(declared.get("decimal", "."))
    if fraction and not is_digits(fraction):
        return None
    thousands = declared.get("thousands", "")
    for separator in SEPARATORS.get(thousands, thousands):
        whole = whole.replace(separator, "\0")
    first, *groups = whole.split("\0")
    if groups:
        sizes = [2] * (len(groups) - 1) + [3] if thousands == "lakh" else [3] * len(groups)
        most = 2 if thousands == "lakh" else 3
        if [len(group) for group in groups] != sizes or not 1 <= len(first) <= most or first[0] == "0":
            return None
    digits = first + "".join(groups)
    if (digits and not is_digits(digits)) or not (digits or fraction):
        return None
    return float(f"{digits or 0}.{fraction or 0}")


def is_digits(text: str) -> bool:
    return all(character in DIGITS for character in text)


@st.composite
def numbers_written(draw: st.DrawFn) -> str:
    """A number in one of the ways of NUMBERS, often with a character left out, doubled or replaced."""
    separator = draw(st.sampled_from(["", ",", ".", "'", "\u2019", " ", "\u00a0"]))
    groups = draw(st.lists(st.text("0123456789", min_size=2, max_size=3), max_size=3))
    text = separator.join([draw(st.text("0123456789", min_size=0, max_size=4)), *groups])
    text += draw(st.sampled_from(["", ".5", ",50", "."]))
    currency = draw(st.sampled_from(["", "", "€", "EUR", "$", "US$", "CHF", "Rs.", "INR"]))
    gap = draw(st.sampled_from(["", " ", "\u00a0"]))
    text = draw(st.sampled_from([text, currency + gap + text, text + gap + currency]))
    text = draw(st.sampled_from([text, text, f"({text})", f"-{text}", f"{text}-", f"+{text}", f"{currency}-{text}"]))
    if text and draw(st.booleans()):
        place, other = draw(st.integers(0, len(text) - 1)), draw(st.sampled_from("0_e,.' ()-+$%\u0663"))
        text = text[:place] + other + text[place + draw(st.integers(0, 1)) :]
    return text.strip()


@settings(max_examples=6, deadline=None, derandomize=True)
@given(texts=st.lists(numbers_written(), min_size=20, max_size=60))
@pytest.mark.parametrize("declared", NUMBERS)
def test_a_number_is_what_a_reading_by_hand_finds(declared: dict[str, Any], texts: list[str]) -> None:
    texts = ["1", *(text for text in texts if text and not ("e" in text and set(declared) == {"decimal"}))]

    found = {text: value for text, (value, _) in zip(texts, cells(texts, format="double", **declared), strict=True)}

    assert found == {text: number_by_hand(text, declared) for text in texts}


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        ({"decimal": ",", "thousands": "."}, {"1.234,50": 1234.5, "1234,5": 1234.5, "1,234.50": None, "0.123": None}),
        (
            {"thousands": ",", "currency": ["$", "USD"], "negative": "parentheses"},
            {"$1,234.00": 1234, "(1,234.00)": -1234, "($5)": -5, "$(5)": -5, "-$5": -5, "5 USD": 5, "$5 USD": None},
        ),
        (
            {"negative": "trailing", "currency": "EUR"},
            {"12-": -12, "12- EUR": -12, "12 EUR-": -12, "-12": -12, "-12-": None},
        ),
        ({"thousands": "lakh"}, {"12,34,567.5": 1234567.5, "1,234": 1234, "1,234,567": None}),
        ({"thousands": "space", "decimal": ","}, {"1 234,5": 1234.5, "1\u202f234": 1234, "1 23": None}),
        ({"decimal": ","}, {"1,5e3": 1500, "1.5": None, "1,5E-400": None}),
        ({"thousands": ","}, {"1e3": None, "0,123": None, "1,000,000": 1000000}),
    ],
)
def test_numbers_of_lenders(declared: dict[str, Any], values: dict[str, float | None]) -> None:
    found = [value for value, _ in cells(list(values), format="double", **declared)]

    assert found == list(values.values())


FORTY_DIGITS = "1234567890" * 4
#: Texts that readers of numbers take in different ways: numbers without a declaration, and none.
STRANGE_NUMBERS = {"+1": 1, "1e5": 1e5, "1E-2": 0.01, "007": 7, "5.": 5, ".5": 0.5, "-0": 0, "\u200b5\u3000": 5}
STRANGE_NUMBERS |= {FORTY_DIGITS: float(FORTY_DIGITS)}
NO_NUMBERS = (
    *("- .00", "5-", "5 -", "(1)", "--5", "+-5", "-", ".", "e5", "1,234", "1,23,456", "1'234", "1 234", "1\u00a0234"),
    *("0x10", "0b1", "1_000", "1e5.5", "1e1000", "1e-400", "1/2", "5k", "inf", "-inf", "Infinity", "5%", "$5", "1.2.3"),
    # digits of other scripts, full-width ones, the minus sign of typography
    *("\u0663", "\uff11\uff12", "\u00bd", "5\u00b2", "\u22125", "\uff0d5"),
)


def test_strange_numbers_are_read_by_the_grammar_alone() -> None:
    """Each of more than 200,000 texts like these had the same meaning in SQL and in the readings by hand."""
    read = cells([*STRANGE_NUMBERS, *NO_NUMBERS, "NaN"], format="double")

    assert read[: len(STRANGE_NUMBERS)] == [(value, None) for value in STRANGE_NUMBERS.values()]
    assert read[len(STRANGE_NUMBERS) : -1] == [(None, "must be a number")] * len(NO_NUMBERS)
    assert read[-1] == (None, None)


@pytest.mark.parametrize("declared", NUMBERS)
def test_strange_numbers_are_what_a_reading_by_hand_finds(declared: dict[str, Any]) -> None:
    texts = [text.strip("\u200b\u3000") for text in (*STRANGE_NUMBERS, *NO_NUMBERS) if "e" not in text.lower()]

    found = [value for value, _ in cells(texts, format="double", **declared)]

    assert found == [number_by_hand(text, declared) for text in texts]


def test_what_is_declared_may_hold_quotes() -> None:
    months = ["ja'n", *(["feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])]

    assert cells(["5 d'or", "5"], format="double", currency="d'or") == [(5, None), (5, None)]
    assert cells(["1 JA'N '24"], format="date", pattern="D Mon 'YY", pivot=30, months=months) == [
        (date(2024, 1, 1), None)
    ]


def test_whole_numbers_and_percentages_are_written_alike() -> None:
    declared = {"thousands": ".", "decimal": ","}

    assert cells(["12.345.678.901.234.567", "1,5"], format="bigint", **declared)[0] == (12345678901234567, None)
    assert [value for value, _ in cells(["1.234", "1,5"], format="integer", **declared)] == [1234, None]
    assert cells(["(12,5 %)"], format="percent", decimal=",", negative="parentheses") == [(-0.125, None)]


def test_a_reason_shows_how_the_number_should_be_written() -> None:
    (found,) = cells(["5$$"], format="amount", thousands=".", decimal=",", currency="€", negative="parentheses")

    assert found == (None, "must be a number such as 1.234,5 or €1.234,5, below 0 also (1.234,5)")


DATES: list[tuple[str, Callable[[date], str]]] = [
    ("DD/MM/YYYY", lambda day: f"{day.day:02}/{day.month:02}/{day.year}"),
    ("M/D/YYYY", lambda day: f"{day.month}/{day.day}/{day.year}"),
    ("YYYYMMDD", lambda day: f"{day.year}{day.month:02}{day.day:02}"),
    ("DD.MM.YY", lambda day: f"{day.day:02}.{day.month:02}.{day.year % 100:02}"),
    ("D-Mon-YYYY", lambda day: f"{day.day}-{ENGLISH[day.month - 1][:3].upper()}-{day.year}"),
    ("Month D, YYYY", lambda day: f"{ENGLISH[day.month - 1]} {day.day}, {day.year}"),
    ("DDMonYY", lambda day: f"{day.day:02}{ENGLISH[day.month - 1][:3]}{day.year % 100:02}"),
]
ENGLISH = "January February March April May June July August September October November December".split()  # noqa: SIM905
PIVOT = 40
TOKENS = ("YYYY", "YY", "Month", "Mon", "MM", "M", "DD", "D")


def dates_by_hand(text: str, pattern: str, found: Mapping[str, int] | None = None) -> set[date]:
    """Every date that the text can mean, walking along the pattern."""
    found = found or {}
    if not pattern:
        try:
            return set() if text else {date(found["Y"], found["M"], found["D"])}
        except ValueError:
            return set()
    token = next((token for token in TOKENS if pattern.startswith(token)), None)
    if token is None:
        return dates_by_hand(text[1:], pattern[1:], found) if text[:1].lower() == pattern[0].lower() else set()
    rest, part = pattern.removeprefix(token), token[0]
    if token in ("Mon", "Month"):
        names = [name[:3] if token == "Mon" else name for name in ENGLISH]
        return {
            day
            for number, name in enumerate(names, start=1)
            if text[: len(name)].lower() == name.lower()
            for day in dates_by_hand(text[len(name) :], rest, {**found, "M": number})
        }
    days: set[date] = set()
    for size in (1, 2) if len(token) == 1 else (len(token),):
        digits = text[:size]
        if len(digits) == size and is_digits(digits):
            number = int(digits)
            if token == "YY":
                number += 1900 if number >= PIVOT else 2000
            days |= dates_by_hand(text[size:], rest, {**found, part: number})
    return days


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    days=st.lists(st.dates(date(1940, 1, 1), date(2025, 12, 31)), min_size=10, max_size=20),
    places=st.lists(st.tuples(st.integers(0, 12), st.sampled_from("0139/-. aJ")), min_size=10, max_size=20),
)
@pytest.mark.parametrize(("pattern", "written"), DATES, ids=[pattern for pattern, _ in DATES])
def test_a_date_is_what_a_reading_by_hand_finds(
    pattern: str, written: Callable[[date], str], days: list[date], places: list[tuple[int, str]]
) -> None:
    declared = {"pattern": pattern} | ({"pivot": PIVOT} if "YYYY" not in pattern else {})
    texts = [written(day) for day in days]
    spoilt = [text[:at] + other + text[at + 1 :] for text, (at, other) in zip(texts, places, strict=False)]
    texts = [text for text in (*texts, *spoilt) if text == text.strip()]

    read = cells(texts, format="date", future=True, **declared)

    for text, (value, reason) in zip(texts, read, strict=True):
        if not (reason or "").startswith("must be between 1900"):
            assert {value} - {None} == dates_by_hand(text, pattern), text
    assert [value for value, _ in read[: len(days)]] == days


def test_times_have_patterns_too_and_a_list_of_them() -> None:
    patterns = ["D/M/YYYY H:mm", "D/M/YYYY H:mm:SS", "YYYY-MM-DDTHH:mm"]
    texts = ["1/3/2024 9:30", "01/03/2024 19:30:59.25", "2024-03-01T09:30", "1/3/2024 24:00", "1/3/2024"]

    found = [value for value, _ in cells(texts, format="timestamp", pattern=patterns)]

    day = datetime(2024, 3, 1)
    assert found == [
        day + timedelta(hours=9.5),
        day + timedelta(hours=19, minutes=30, seconds=59.25),
        day + timedelta(hours=9.5),
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        (
            "M/D/YYYY H:mm AM",
            {
                "3/1/2024 12:00 AM": datetime(2024, 3, 1),
                "3/1/2024 12:59 a.m.": datetime(2024, 3, 1, 0, 59),
                "3/1/2024 9:30 am": datetime(2024, 3, 1, 9, 30),
                "3/1/2024 12:30 PM": datetime(2024, 3, 1, 12, 30),
                "3/1/2024 01:30 P.M.": datetime(2024, 3, 1, 13, 30),
                "3/1/2024 0:30 AM": None,
                "3/1/2024 13:30 PM": None,
                "3/1/2024 9:30": None,
                "3/1/2024 9:30 p.m": None,
                "3/1/2024 9:30 XM": None,
            },
        ),
        ("D Mon YYYY HH:mm:SSAM", {"1 Mar 2024 11:59:59.5pm": datetime(2024, 3, 1, 23, 59, 59, 500_000)}),
    ],
)
def test_a_time_may_be_before_or_after_noon(pattern: str, values: dict[str, datetime | None]) -> None:
    found = [value for value, _ in cells(list(values), format="timestamp", pattern=pattern)]

    assert found == list(values.values())


def test_days_of_excel_may_stand_beside_dates() -> None:
    """A column typed by several people: some cells are dates, some texts, some bare numbers of days."""
    texts = ["45352", "45352.0", "01/03/2024", "2024-03-01", "1 Mar 2024", "60", "45352.5", "20240301", "3/1/2024"]

    found = cells(texts, format="date", epoch="excel", pattern=["DD/MM/YYYY", "YYYY-MM-DD", "D Mon YYYY"])

    assert [value for value, _ in found] == [*[date(2024, 3, 1)] * 5, *[None] * 4]
    assert found[-1][1] == (
        "must be a date, DD/MM/YYYY or YYYY-MM-DD or D Mon YYYY, or a day's number in Excel, such as 45352 for "
        "2024-03-01"
    )
    times = cells(
        ["1709290800", "2024-03-01 11:00"], format="timestamp", epoch="unix_seconds", pattern="YYYY-MM-DD HH:mm"
    )
    assert [value for value, _ in times] == [datetime(2024, 3, 1, 11)] * 2


def test_the_first_moment_of_a_day_may_be_twelve_at_night() -> None:
    found = cells(
        ["3/1/2024 12:00 AM", "3/1/2024 12:00 PM", "3/1/2024 9:00 AM"], format="date", pattern="M/D/YYYY H:mm AM"
    )

    assert [value for value, _ in found] == [date(2024, 3, 1), None, None]


def test_a_date_with_a_clock_is_its_first_moment_only() -> None:
    found = cells(["3/1/2024 0:00", "3/1/2024 9:30"], format="date", pattern="M/D/YYYY H:mm")

    assert found == [(date(2024, 3, 1), None), (None, "must be a date, M/D/YYYY H:mm")]


def test_months_have_names_in_any_language() -> None:
    months = ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."]
    texts = ["1 FÉVR. 2024", "1 fe\u0301vr. 2024", "15 août 2023", "1 feb 2024", "1 sept 2024"]

    found = cells(texts, format="date", pattern="D Mon YYYY", months=months)

    assert [value for value, _ in found] == [date(2024, 2, 1), date(2024, 2, 1), date(2023, 8, 15), None, None]
    assert (found[3][1] or "").startswith("must be a date, D Mon YYYY with the months janv., févr.")


@pytest.mark.parametrize(
    ("reading", "values"),
    [
        (
            {"format": "date", "epoch": "excel"},
            {"45352": date(2024, 3, 1), "45352.0": date(2024, 3, 1), "45352.5": None},
        ),
        ({"format": "date", "epoch": "excel"}, {"61": date(1900, 3, 1), "60": None, "-1": None}),
        ({"format": "date", "epoch": "sas"}, {"23436": date(2024, 3, 1), "-1": date(1959, 12, 31), "2024-03-01": None}),
        ({"format": "date", "epoch": "unix"}, {"19783": date(2024, 3, 1), "1709251200": None}),
        (
            {"format": "timestamp", "epoch": "unix_seconds"},
            {"1709290800": datetime(2024, 3, 1, 11), "1709290800.5": datetime(2024, 3, 1, 11, 0, 0, 500_000)},
        ),
        ({"format": "timestamp", "epoch": "unix_seconds"}, {"1709290800000": None}),
        ({"format": "timestamp", "epoch": "unix_milliseconds"}, {"1709290800000": datetime(2024, 3, 1, 11)}),
    ],
)
def test_numbers_stand_for_days_and_times(reading: dict[str, Any], values: dict[str, Any]) -> None:
    assert [value for value, _ in cells(list(values), **reading)] == list(values.values())


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        ({"format": "date", "pattern": "DD/MM/YY"}, "pivot must be a number from 0 to 99 beside YY.*: found none"),
        (
            {"format": "date", "pattern": "DD/MM/YYYY", "pivot": 30},
            "pivot must be left out .*: found 30",
        ),
        (
            {"format": "date", "pattern": ["DD/MM/YYYY", "MM/DD/YYYY"]},
            "no two .*: found DD/MM/YYYY and MM/DD/YYYY",
        ),
        ({"format": "date", "pattern": ["D/M/YYYY", "DD/MM/YYYY"]}, "no two may match the same text"),
        ({"format": "date", "pattern": ["D Mon YYYY", "D Month YYYY"]}, "no two may match the same text"),
        ({"format": "date", "pattern": "dd/mm/yyyy"}, "pattern must be made of YYYY or YY, .*: found dd/mm/yyyy"),
        ({"format": "date", "pattern": "MM/YYYY"}, "and DD or D: found MM/YYYY"),
        ({"format": "month", "pattern": "DD/MM/YYYY"}, "and no day: found DD/MM/YYYY"),
        (
            {"format": "date", "pattern": "DMYYYY"},
            "a separator follows D, which .*: found DMYYYY",
        ),
        (
            {"format": "timestamp", "pattern": "YYYY-MM-DD AM"},
            "HH .* once each or not at all, and SS and AM only after",
        ),
        ({"format": "timestamp", "pattern": ["M/D/YYYY H:mm AM", "MM/DD/YYYY HH:mm AM"]}, "no two may match the same"),
        ({"format": "timestamp", "pattern": "YYYY-MM-DD HH"}, "HH .* and mm once each or not at all"),
        (
            {"format": "timestamp", "pattern": "YYYY-MM-DD HH:mm:ss"},
            "made of .*: found YYYY-MM-DD HH:mm:ss",
        ),
        (
            {"format": "date", "pattern": "YYYY-Mon-DD", "months": ["jan", "feb"]},
            "months must be twelve",
        ),
        (
            {"format": "date", "epoch": "unix_seconds"},
            "epoch must be one of sas, excel, unix in a date",
        ),
        (
            {"format": "date", "epoch": "sas", "pattern": "DDMMYY", "pivot": 30},
            "none of at most 6 digits alone beside epoch: found DDMMYY",
        ),
        (
            {"format": "timestamp", "epoch": "unix_seconds", "pattern": "YYYYMMDD"},
            "none of at most 10 digits alone beside epoch: found YYYYMMDD",
        ),
        (
            {"format": "double", "decimal": ",", "thousands": ","},
            "decimal must be another character",
        ),
        ({"format": "double", "thousands": "."}, "decimal must be another character than thousands: found . for both"),
        ({"format": "double", "thousands": "_"}, "thousands must be one of . , ' space and lakh: found _"),
        ({"format": "double", "decimal": ";"}, "decimal must be . or ,: found ;"),
        ({"format": "double", "negative": "red"}, "negative must be parentheses or trailing: found red"),
        ({"format": "double", "currency": ["Rs", "Rs."]}, "currency must be texts .* that differ in more than"),
        ({"format": "double", "currency": "5"}, "currency must be texts of 1 to 10 characters without digits"),
        ({"format": "percent", "sign": "optional"}, "unsigned must be percent or fraction where sign is optional"),
        ({"format": "percent", "unsigned": "percent"}, "unsigned must be left out where sign is not optional"),
        ({"format": "percent", "sign": "never"}, "sign must be required, none or optional: found never"),
        ({"format": "text", "decimal": ","}, "each key must be one that text has.*: found decimal"),
        (
            {"format": "integer", "values": {"a": 1}, "thousands": ","},
            "integer with values has.*: found thousands",
        ),
    ],
)
def test_a_declaration_that_is_ambiguous_is_refused(reading: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"reading value: .*{message}"):
        cells(["1"], **reading)
