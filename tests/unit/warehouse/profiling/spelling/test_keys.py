"""The keys and values that --read accepts: what dbt would refuse is refused before anything is written."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from tests.unit.warehouse.macros import macros
from warehouse.errors import SettingError
from warehouse.profiling.spelling import pivot_of, require_key


@pytest.mark.parametrize(
    ("key", "value", "form"),
    [
        ("decimal", ",", "amount"),
        ("thousands", "none", "count"),
        ("currency", "US$", "amount"),
        ("unsigned", "fraction", "percent"),
        ("suffix", " months", "integer"),
        ("pattern", "DD/MM/YYYY", "date"),
        ("pattern", "D. Month YYYY HH:mm", "timestamp"),
        ("pattern", "YYYY-MM-DDTHH:mm:SS", "timestamp"),
        ("pattern", "Mon-YY", "month"),
        ("pivot", "30", "date"),
        ("epoch", "excel", "date"),
    ],
)
def test_what_a_reading_may_have_is_accepted(key: str, value: str, form: str) -> None:
    require_key("column", key, value, form)


@pytest.mark.parametrize(
    ("key", "value", "form", "message"),
    [
        ("unsigned", "banana", "percent", "--read column.unsigned= must be one of percent fraction: found 'banana'"),
        ("patern", "DD/MM/YYYY", "date", "found patern, did you mean pattern?"),
        ("colour", "red", "percent", "found colour; known are suffix, decimal"),
        ("pattern", "X", "date", "must be made of YYYY or YY"),
        ("pattern", "DD/DD/YYYY", "date", "must be made of YYYY or YY"),
        ("pattern", "MM/YYYY", "date", "DD or D, such as DD/MM/YYYY or DD.MM.YYYY HH:mm: found 'MM/YYYY'"),
        ("pattern", "DD/MM/YYYY", "month", "such as MM/YYYY: found 'DD/MM/YYYY'"),
        ("pattern", "DD/MM/YYYY", "amount", "must be a key of the format amount"),
        ("currency", "5", "amount", "must be a text of 1 to 10 characters"),
        ("decimal", ",", "text", "known are none"),
    ],
)
def test_what_dbt_would_refuse_is_named_with_the_right_key(key: str, value: str, form: str, message: str) -> None:
    with pytest.raises(SettingError) as refused:
        require_key("column", key, value, form)

    assert message in str(refused.value)


NUMBERS = ("integer", "count", "double", "amount", "percent")
DATED = ("date", "timestamp", "month")
#: What a reading may have and ``--read`` does not set: the proposal writes it by itself, or no file shows it.
NOT_ASKED = {"name", "from", "format", "required", "missing", "values", "min", "max", "future", "months"}


@pytest.mark.parametrize("form", [*NUMBERS, *DATED])
def test_a_format_has_the_keys_that_dbt_knows(form: str) -> None:
    known = {key for key in macros()["keys_of"]({"format": form}) if key not in NOT_ASKED}

    with pytest.raises(SettingError) as refused:
        require_key("column", "colour", "red", form)

    assert set(str(refused.value).partition("known are ")[2].split(", ")) == known


@pytest.mark.parametrize(
    ("key", "values", "forms"),
    [
        ("decimal", [".", ",", ";", ""], NUMBERS),
        ("thousands", ["'", "space", "lakh", "_", "ab"], NUMBERS),
        ("negative", ["parentheses", "trailing", "red"], NUMBERS),
        ("currency", ["$", "US$", "kr", "5", "-", "(x)", "a" * 10, "a" * 11, "a^", "[", "\\", ".", "%"], ["amount"]),
        ("sign", ["required", "none", "never"], ["percent"]),
        ("epoch", ["sas", "excel", "unix", "unix_seconds", "unix_milliseconds", "mac"], ["date", "timestamp"]),
    ],
)
def test_a_value_is_accepted_where_dbt_accepts_it(key: str, values: Sequence[str], forms: Sequence[str]) -> None:
    found = {(form, value): _accepts(form, key, value) for form in forms for value in values}

    assert found == {(form, value): _dbt_accepts(form, {key: value}) for form, value in found}


def test_a_pattern_is_accepted_where_dbt_accepts_it() -> None:
    draw = Random(13)
    pieces = ["YYYY", "YY", "Month", "Mon", "MM", "M", "DD", "D", "HH", "H", "mm", "SS", "AM", *"/ :T^5", " de ", "dd"]
    patterns = {"".join(draw.choices(pieces, k=draw.randint(3, 8))) for _ in range(100)}
    for _ in range(200):
        day = [draw.choice(["YYYY", "YY"]), draw.choice(["MM", "M", "Mon", "Month"]), draw.choice(["DD", "D", ""])]
        clock = draw.choice(["", "", " HH:mm", " H:mm AM", "THH:mm:SS", "H:mm", "H", " HHmm", "AM", " H:mmAM"])
        patterns.add(draw.choice("/-. ").join(draw.sample(day, k=3)) + clock)

    found = {(form, pattern): _accepts(form, "pattern", pattern) for form in DATED for pattern in patterns}

    expected = {
        (form, pattern): _dbt_accepts(form, {"pattern": pattern, **pivot_of([pattern])}) for form, pattern in found
    }
    assert found == expected
    assert 50 < sum(found.values()) < len(found) - 50


def _accepts(form: str, key: str, value: str) -> bool:
    try:
        require_key("column", key, value, form)
    except SettingError:
        return False
    return True


def _dbt_accepts(form: str, keys: dict[str, Any]) -> bool:
    # a decimal comma beside the point of thousands, as a proposal writes it
    decimal = {"decimal": ","} if keys.get("thousands") == "." else {}
    try:
        macros()["require_reading"]({"name": "column", "format": form, **decimal, **keys})
    except ValueError:
        return False
    return True
