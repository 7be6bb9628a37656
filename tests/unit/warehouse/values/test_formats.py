"""A cell means what its format says, alone: the same in files and requests, whatever stands in other rows.

Mutations: each text that a format takes, with every character replaced, doubled, left out or followed by another one.
A reader that is laxer than its grammar (a cast that stops at the first letter, or skips an underscore) shows there.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from math import copysign
from typing import Any

import duckdb
import msgspec
import pytest
import yaml

from tests.unit.warehouse.macros import macros
from warehouse.errors import FormatError
from warehouse.settings import REPOSITORY
from warehouse.values import formats

LOADED = datetime(2026, 1, 1)
TAKEN = {
    "id": ["A-1", "1001.0", "Amélie", "007", "12e5", "a b"],
    "text": ["Zürich", "8001", "N/A", "a b"],
    "integer": ["36", "36.0", "-2", "1e3"],
    "double": ["1234.50", "-.5", "+5.", "1.5e-10", "0", "0.0"],
    "boolean": ["true", "FALSE", "1", "0.0", "Yes", "n", "oFF"],
    "date": ["2010-05-01", "2012-02-29 00:00:00"],
    "timestamp": [
        "2024-03-01 10:00:00",
        "2024-03-01T20:00:00-05:00",
        "2024-03-01T20:00:00.1234565Z",
        "2024-03-10 02:30",
        "2024-03-01 20:00:00 +0530",
        "2024-03-01 20:00 UTC",
        "2024-03-01",
    ],
}
READERS: dict[str, Callable[[str], Any]] = {
    "id": lambda text: formats.read_id(text, most=formats.MOST_CHARACTERS_IN_FILE),
    "text": formats.read_text,
    "integer": formats.read_number,
    "double": formats.read_number,
    "boolean": formats.read_boolean,
    "date": formats.read_date,
    "timestamp": formats.read_time,
}
#: What stands in for a character: look-alikes, digits of another script, separators, blanks, signs, quotes, NUL.
STRANGE = "O_1 9.,:;-+/eE%?'\"T\t\n\0\u00a0\u200b\u0663\uff11\u0301"


def cells(texts: Sequence[str], **reading: Any) -> list[tuple[Any, str | None]]:
    """Value and reason of each text, as staging reads a column of them."""
    with duckdb.connect() as con:
        con.execute("set global timezone = 'UTC'")
        con.execute("create table raw_cells (cell varchar, _file varchar, _line bigint, _loaded_at timestamp)")
        con.execute(
            "insert into raw_cells select unnest($texts), 'cells.csv', generate_subscripts($texts, 1), $loaded",
            {"texts": list(texts), "loaded": LOADED},
        )
        readings = [{"name": "value", "from": "cell", **reading}]
        ctes = macros()["checked_rows"]("raw_cells", readings)
        return con.execute(f"with {ctes} select value, value_reason from checked order by _line").fetchall()


def refused(*texts: str, **reading: Any) -> list[bool]:
    return [value is None and reason is not None for value, reason in cells(texts, **reading)]


def mutations(text: str) -> set[str]:
    made = {text + end for end in (*STRANGE, " to 2012-01-01", " America/New_York", "e-400", "%%", ".0")}
    for place in range(len(text)):
        made |= {text[:place] + other + text[place + 1 :] for other in STRANGE}
        made |= {text[:place] + other + text[place:] for other in STRANGE}
        made.add(text[:place] + text[place + 1 :])
    return made


def of_msgspec(text: str, kind: type) -> Any:
    try:
        return msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return None


def naive(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def by_python(name: str, text: str) -> tuple[Any, bool]:
    """The value, and whether it is refused; a whole number is one that fits 32 bits, as the column that files fill."""
    try:
        value = naive(READERS[name](text))
    except FormatError:
        return None, True
    if name == "integer" and value is not None:
        is_whole = float(value).is_integer() and abs(value) < 2**31
        return (int(value), False) if is_whole else (None, True)
    return (float(value) if name == "double" and value is not None else value), False


def test_both_statements_of_a_grammar_are_one() -> None:
    stated = macros()

    assert {name: stated["grammars"]()[name] for name in formats.GRAMMARS} == formats.GRAMMARS
    assert stated["blanks"]() == formats.BLANKS
    assert tuple(stated["null_words"]()) == formats.NULL_WORDS
    assert (stated["whole_float"](), stated["rounded_number"]()) == (formats.WHOLE_FLOAT, formats.ROUNDED_NUMBER)
    assert stated["most_characters"]("id") == formats.MOST_CHARACTERS_IN_FILE
    assert stated["most_characters"]("text") == formats.MOST_CHARACTERS


@pytest.mark.parametrize("name", TAKEN)
def test_files_and_requests_read_every_mutation_alike(name: str) -> None:
    texts = sorted({text for taken in TAKEN[name] for text in (taken, *mutations(taken))})

    differing = [
        (text, by_file, by_request)
        for text, (value, reason) in zip(texts, cells(texts, format=name), strict=True)
        if not (reason or "").startswith("must be between 1900")
        and (by_file := (value, reason is not None)) != (by_request := by_python(name, text))
    ]

    assert differing == []
    assert len(texts) > 100


@pytest.mark.parametrize("name", ["percent", "bigint", "month", "amount", "count"])
def test_what_only_files_hold_is_its_grammar_and_nothing_else(name: str) -> None:
    """An own statement of each grammar, so that a wider one does not pass unseen."""
    number = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?"
    months = "(?i:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    own = {"percent": number + " *%", "month": rf"({months})-\d\d\d\d"}.get(name, number)
    taken = {"percent": "12.5%", "bigint": "10000000000000001", "month": "Dec-2011", "amount": "999.5", "count": "42"}[
        name
    ]
    texts = sorted(mutations(taken) | {taken})

    read = [text for text, (value, _) in zip(texts, cells(texts, format=name), strict=True) if value is not None]

    assert taken in read
    assert [text for text in read if not re.fullmatch(own, text.strip(formats.BLANKS), re.ASCII)] == []


def test_a_time_that_json_takes_is_the_same_time_in_a_file() -> None:
    """But for a NUL, at which msgspec stops reading: serving refuses it before."""
    texts = {text for taken in TAKEN["timestamp"] + TAKEN["date"] for text in (taken, *mutations(taken))}
    of_json = {(text, kind): of_msgspec(text, kind) for text in texts if "\0" not in text for kind in (datetime, date)}
    taken = {key: value for key, value in of_json.items() if value is not None}

    of_file = {
        (text, kind): (formats.read_time if kind is datetime else formats.read_date)(text) for text, kind in taken
    }

    assert of_file == taken
    assert len(taken) > 50


def test_what_looks_nearly_like_a_date_is_refused() -> None:
    almost = ["2010-05-1O", "2024-01-3I", "2010-05-01 to 2012-01-01", "2010-05-01 99:99:99", "2010-05-01?", "epoch"]

    assert refused(*almost, "2023-02-29", "20100501", format="date") == [True] * 8


def test_what_looks_nearly_like_a_number_is_refused() -> None:
    assert refused("50_00", "1e-400", "1e999", "inf", "$1,234.00", "１２", "0x10", format="double") == [True] * 7


def test_a_number_is_nothing_only_where_nothing_is_written() -> None:
    values = [value for value, _ in cells(["0", "-0.0", "0e5", ".0"], format="double")]

    assert values == [0, 0, 0, 0]
    assert copysign(1, values[0]) == 1


def test_a_named_zone_is_refused_and_moves_no_other_row() -> None:
    found = cells(
        ["2024-03-01 10:00:00", "2024-03-01 10:00:00 America/New_York", "2024-03-01 10:00:00"], format="timestamp"
    )

    assert [value for value, _ in found] == [datetime(2024, 3, 1, 10), None, datetime(2024, 3, 1, 10)]
    assert "named time zones are not read" in (found[1][1] or "")


def test_an_offset_moves_its_own_cell() -> None:
    texts = ["2024-03-01T20:00:00-05:00", "2024-03-01 20:00:00+0530", "2024-03-01 20:00:00 +01", "2024-03-01T20:00:00z"]

    found = [value - datetime(2024, 3, 1, 20) for value, _ in cells(texts, format="timestamp")]

    assert found == [timedelta(hours=5), timedelta(hours=-5.5), timedelta(hours=-1), timedelta(0)]


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        ({"sign": "required"}, [None, 0.12, None]),
        ({"sign": "none"}, [0.0012, None, None]),
        ({"sign": "optional", "unsigned": "percent"}, [0.0012, 0.12, None]),
        ({"sign": "optional", "unsigned": "fraction"}, [0.12, 0.12, None]),
    ],
)
def test_a_percentage_has_its_sign_as_declared(declared: dict[str, str], values: list[float | None]) -> None:
    found = [value for value, _ in cells(["0.12", "12%", "9%9"], format="percent", **declared)]

    assert found == [pytest.approx(value) if value else None for value in values]


def test_a_suffix_is_cut_off_the_end_alone() -> None:
    found = cells([" 36 months", "36", "3months6", "months", "36 months months"], format="integer", suffix=" months")

    assert [value for value, _ in found] == [36, 36, None, None, None]
    assert [reason is None for _, reason in found] == [True, True, False, False, False]


def test_values_and_missing_texts_may_hold_quotes() -> None:
    found = cells(
        ["driver's", "it's none", "o'ther"], format="text", values={"driver's": "owner's"}, missing=["it's none"]
    )

    assert found == [("owner's", None), (None, None), (None, "must be one of: driver's")]


def test_an_id_has_one_form() -> None:
    same = ["1001", "1001.0", " 1001\t", "\u00a01001\u2003", "\ufeff1001"]

    assert {value for value, _ in cells(same, format="id")} == {"1001"}
    assert {value for value, _ in cells(["Ame\u0301lie", "Am\u00e9lie"], format="id")} == {"Am\u00e9lie"}


def test_a_null_word_is_no_borrower() -> None:
    assert set(cells(["NaN", "null", "None", "N/A", "<NA>", ""], format="id")) == {(None, None)}


def test_an_id_that_could_not_be_looked_up_is_refused() -> None:
    unfit = ["a\0b", "a\nb", "a\u200bb", "a\u202eb", "x" * 81, "1.00000000000001E+15", "1.0E16"]

    assert refused(*unfit, format="id") == [True] * len(unfit)


def test_a_text_that_could_not_be_looked_up_is_refused() -> None:
    assert refused("x" * 101, "a\0b", format="text") == [True, True]
    assert refused("x" * 101, format="text", max=200) == [False]


def test_the_page_of_formats_says_what_is_read() -> None:
    """Every format has a line there, with keys or none; its examples are values, and what it calls none is refused."""
    page = (REPOSITORY / "docs" / "formats.md").read_text()
    lines = re.findall(r"^\| `(\w+)`(?:, `({.*?})`)? \| [^|]* \| ([^|]*) \| ([^|]*) \|$", page, flags=re.MULTILINE)
    wrong = []

    for name, declared, examples, others in lines:
        reading = {"format": name, **(yaml.safe_load(declared) if declared else {})}
        shown, not_so = (re.findall(r"`([^`]+)`", texts) for texts in (examples, others))
        wrong += [text for text, (_, reason) in zip(shown, cells(shown, **reading), strict=True) if reason]
        wrong += [
            text for text, (_, reason) in zip(not_so, cells(not_so or [""], **reading), strict=False) if not reason
        ]

    assert wrong == []
    assert {name for name, *_ in lines} == set(macros()["sql_types"]())
    assert len(lines) > 20


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Adelaide"])
def test_the_zone_of_the_machine_changes_nothing(zone: str) -> None:
    """In a process of its own, whose first statement could pick the zone up; half an hour, or an hour that is none."""
    program = (
        "from tests.unit.warehouse.values.test_formats import cells;"
        "print([str(value) for value, _ in ["
        "*cells(['2024-03-10 02:30:00', '2024-03-01 20:00:00'], format='timestamp'),"
        "*cells(['10/3/2024 2:30'], format='timestamp', pattern='D/M/YYYY H:mm'),"
        "*cells(['1710037800'], format='timestamp', epoch='unix_seconds')]])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=True,
    )

    half_past_two = "'2024-03-10 02:30:00'"
    assert done.stdout.strip() == f"[{half_past_two}, '2024-03-01 20:00:00', {half_past_two}, {half_past_two}]"


def test_days_become_whole_months() -> None:
    """A payday loan of two weeks has a term of one month; a month late begins with the thirtieth day."""
    terms, late = macros()["months_of_days"]("days"), macros()["months_late"]("days")

    found = duckdb.sql(f"select {terms}, {late} from (values (14), (29), (30), (90)) as loans(days)").fetchall()

    assert found == [(1, 0), (1, 0), (1, 1), (3, 3)]
