"""The keys that ``--read`` accepts for a column, and their values: those that dbt accepts in a reading."""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise

from warehouse.errors import SettingError

_Rule = tuple[str, Callable[[str], bool]]
_NUMBERS = ("integer", "count", "double", "amount", "percent")
#: As in dates.sql: a test compares this module with the macros.
_TOKENS = "YYYY|YY|Month|Mon|MM|M|DD|D|HH|H|mm|SS|AM"
_NOT_IN_A_PATTERN = re.compile(r"[]\[^\\0-9]|yy|dd|hh|ss|MMM")
_ONE_DIGIT_OR_TWO, _DIGITS = ("M", "D", "H"), re.compile("YYYY|YY|MM|M|DD|D|HH|H|mm|SS")


def _is_pattern(text: str) -> bool:
    parts = [part for part in re.split(f"({_TOKENS})", text) if part]
    n = Counter(part for part in parts if re.fullmatch(_TOKENS, part))
    n_years, n_months = n["YYYY"] + n["YY"], n["Month"] + n["Mon"] + n["MM"] + n["M"]
    n_days, n_hours = n["DD"] + n["D"], n["HH"] + n["H"]
    # after one digit or two, digits would belong to either
    is_clear = not any(one in _ONE_DIGIT_OR_TWO and _DIGITS.fullmatch(after) for one, after in pairwise(parts))
    is_once = n_years == n_months == 1 and n_days <= 1 and n_hours <= n_days
    is_time = n["mm"] == n_hours and max(n["SS"], n["AM"]) <= n_hours
    return is_once and is_time and is_clear and _NOT_IN_A_PATTERN.search(text) is None


#: Not points and apostrophes alone: they would be taken out of each number.
_CURRENCY = r"(?![.,']+$)[^][^\\0-9+()%-]{1,10}"


def _one_of(*choices: str) -> _Rule:
    return f"one of {' '.join(choices)}", choices.__contains__


#: Key → what its value must be, and whether a text is that.
_OF_NUMBERS: Mapping[str, _Rule] = {
    "decimal": _one_of(".", ","),
    "thousands": _one_of(".", ",", "'", "space", "lakh", "none"),
    "currency": (
        "a text of 1 to 10 characters without digits, signs and outer blanks",
        lambda text: text == text.strip() != "" and re.fullmatch(_CURRENCY, text) is not None,
    ),
    "negative": _one_of("parentheses", "trailing"),
}
_OF_PERCENTS: Mapping[str, _Rule] = {
    "sign": _one_of("required", "none", "optional"),
    "unsigned": _one_of("percent", "fraction"),
}
_OF_DATES: Mapping[str, _Rule] = {
    "pattern": (
        "made of YYYY or YY, one of MM M Mon Month, and DD or D, such as DD/MM/YYYY or DD.MM.YYYY HH:mm",
        lambda text: _is_pattern(text) and "D" in text,
    ),
    "pivot": ("a number from 0 to 99", lambda text: re.fullmatch("[0-9]{1,2}", text) is not None),
    "epoch": _one_of("sas", "excel", "unix"),
}
_OF_TIMES: Mapping[str, _Rule] = {**_OF_DATES, "epoch": _one_of("unix_seconds", "unix_milliseconds")}
_OF_MONTHS: Mapping[str, _Rule] = {
    "pattern": (
        "made of YYYY or YY and one of MM M Mon Month, such as MM/YYYY",
        lambda text: _is_pattern(text) and "D" not in text,
    ),
    "pivot": _OF_DATES["pivot"],
}
_SUFFIX: Mapping[str, _Rule] = {"suffix": ("a text", bool)}
_OF: Mapping[str, Mapping[str, _Rule]] = {
    **{key: {**_SUFFIX, **_OF_NUMBERS} for key in _NUMBERS},
    "percent": {**_SUFFIX, **{key: rule for key, rule in _OF_NUMBERS.items() if key != "currency"}, **_OF_PERCENTS},
    "date": {**_SUFFIX, **_OF_DATES},
    "timestamp": {**_SUFFIX, **_OF_TIMES},
    "month": {**_SUFFIX, **_OF_MONTHS},
}


def require_key(column: str, key: str, value: str, form: str) -> None:
    """Raises SettingError for a key that a column of this format does not have, or for a wrong value.

    >>> require_key("rate", "unsigned", "percent", "percent")
    """
    known = _OF.get(form, {})
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        meant = f", did you mean {near[0]}?" if near else ";"
        raise SettingError(
            f"--read {column}.{key}= must be a key of the format {form}: found {key}{meant} known are "
            f"{', '.join(known) or 'none'}"
        )
    rule, is_fit = known[key]
    if not is_fit(value):
        raise SettingError(f"--read {column}.{key}= must be {rule}: found {value!r}")
