"""From a column with a meaning to its reading (the dict that ``typed_rows`` takes) and its place in a contract."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any

import duckdb

from warehouse.errors import SettingError
from warehouse.profiling.answers import Answers, Question
from warehouse.profiling.meanings import DATED, VOCABULARIES, Meaning
from warehouse.profiling.profile import ColumnProfile
from warehouse.profiling.spelling import Spelling, marks_of, pivot_of, require_key
from warehouse.profiling.vocabulary import OUTCOMES, meaning_of, outcome_of, written_outcome

#: Limits that a format has by itself.
_OWN_LIMITS = {"amount": (0, 1_000_000_000), "count": (0, 10_000)}
#: Parts of a column's name that are a unit, in the languages of meanings.yml.
_UNITS = {
    "days": ("day", "tage", "dias", "jours", "giorni", "dni", "dpd"),
    "years": ("year", "jahre", "anos", "annees", "anni", "yr"),
    "months": ("month", "monat", "mens", "mes", "mois", "mesi"),
}
#: From this share on, numbers of a rate below and above 1 are not exceptions. In percent, few rates are below 1 %.
_NOTICEABLE = 0.02
_CURRENCIES = (
    "{column} ({examples}) has amounts in several currencies, which no model can compare. Which one is kept? Rows in "
    "another one are set aside. To keep all, convert them in the file."
)
#: A key whose value follows from another key.
_SAYS_TOO = {"thousands": "decimal"}
_HARDLY_IN_THOUSANDTHS = ("amount", "integer", "count")
BOOLEANS = {"true", "false", "yes", "no", "y", "n", "t", "f", "on", "off", "1", "0"}
#: Formats of ids, dates and outcomes keep the file's name: they are renamed where they enter a contract.
_KEEP_THEIR_NAME = ("application_id", "borrower_id", "outcome", "outcome_at")


@dataclass(frozen=True)
class Field:
    """A typed column: its meaning, the file's column, its reading, and SQL for its value in the contract.

    ``limit``: the highest value, where the lender's are above the core model's limit.
    """

    meaning: str
    column: str
    reading: Mapping[str, Any]
    sql: str
    spelling: Spelling
    limit: int | None = None

    @property
    def name(self) -> str:
        """The typed column."""
        return str(self.reading["name"])

    @property
    def is_day(self) -> bool:
        """Whether a date has no time of day."""
        return self.spelling.kind in ("date", "month")


def field_of(meaning: Meaning, column: ColumnProfile, spelling: Spelling, answers: Answers) -> Field:
    """The typed column of a meaning; open questions are in :func:`questions_about`."""
    unit = _unit(meaning, column, spelling)
    name = _name(meaning, column, spelling, unit)
    keys = _keys(spelling, _answered(column, spelling, answers))
    reading: dict[str, Any] = {"name": name}
    if name != column.name:
        reading["from"] = column.name
    reading.update(_typed(meaning, column, spelling, keys, answers))
    if meaning.required and (meaning.name != "outcome" or _is_complete(column)):
        reading["required"] = True
    reading.update(_limits(meaning, str(reading["format"]), unit, is_coded="values" in reading))
    missing = [*spelling.missing, *(column.null_words if "values" in reading else ())]
    if missing:
        reading["missing"] = [*reading.get("missing", ()), *missing]
    limit = _wider_limit(meaning, column, str(reading["format"]))
    if limit is not None:
        reading["max"] = limit
    return Field(meaning.name, column.name, reading, _sql(meaning, name, unit, spelling), spelling, limit)


def require_keys(meaning: Meaning, column: ColumnProfile, spelling: Spelling, answers: Answers) -> None:
    """Raises SettingError for an answered key that the column's format does not have, or for its wrong value."""
    form = spelling.kind if spelling.kind in DATED else meaning.format
    if meaning.name in (*VOCABULARIES, "outcome"):
        form = "text"
    for left, value in answers.read.items():
        name, _, key = left.rpartition(".")
        if name == column.name:
            require_key(name, key, value, form)


def _keys(spelling: Spelling, said: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that the texts show, changed by those that a person has said."""
    keys = {**spelling.keys, **said}
    if "epoch" in said:
        rest = {key: value for key, value in keys.items() if key not in ("pattern", "pivot")}
        return {**rest, **_beside_days(spelling, keys)}
    if "pattern" in said:
        rest = {key: value for key, value in keys.items() if key not in ("epoch", "pivot")}
        pivot = pivot_of([said["pattern"]])
        return {**rest, **({"pivot": said["pivot"]} if pivot and "pivot" in said else pivot)}
    return keys


def _beside_days(spelling: Spelling, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The patterns of dates beside which numbers of days stand; digits that are a date cannot be told from those."""
    own = ["YYYY-MM-DD"] if spelling.kind == "date" and "epoch" not in spelling.keys else []
    given = keys.get("pattern", own)
    patterns = [given] if isinstance(given, str) else given
    apart = [pattern for pattern in patterns if "Mon" in pattern or re.search("[^YMDHmS]", pattern)]
    if not apart:
        return {}
    pivot = {"pivot": keys["pivot"]} if "pivot" in keys and pivot_of(apart) else pivot_of(apart)
    return {"pattern": apart[0] if len(apart) == 1 else apart, **pivot}


def _is_complete(column: ColumnProfile) -> bool:
    """Whether every row has a value; a loan whose outcome is empty still runs, and is not set aside."""
    return column.n_given == column.n_rows


def _wider_limit(meaning: Meaning, column: ColumnProfile, form: str) -> int | None:
    """The highest rate of a lender most of whose rates are above the core's limit."""
    scale = 100 if form == "percent" else 1
    if meaning.name != "annual_rate" or column.middle is None or column.high is None or meaning.high is None:
        return None
    return ceil(column.high / scale) if column.middle / scale > meaning.high else None


def questions_about(
    meaning: Meaning, column: ColumnProfile, spelling: Spelling, answers: Answers
) -> Iterator[Question]:
    """What a column's texts leave open: two readings of a date or number, percent without its sign, an outcome."""
    examples = ", ".join(shape.example for shape in column.shapes[:3])
    said = {key for key in answers.read if key.startswith(f"{column.name}.")}
    # a percentage has no currency: such cells are set aside
    asked = {key: each for key, each in spelling.choices.items() if (key, meaning.format) != ("currency", "percent")}
    for key, choices in asked.items():
        # either says both: with a decimal point, 1.234 has no thousands
        if said.isdisjoint({f"{column.name}.{key}", f"{column.name}.{_SAYS_TOO.get(key, key)}"}):
            yield Question(
                f"--read {column.name}.{key}=",
                _CURRENCIES.format(column=column.name, examples=examples)
                if key == "currency"
                else f"{column.name} ({examples}) can be read in {len(choices)} ways. Which is it?",
                choices,
                # nothing in the file contradicts a wrong day or thousands separator; only amounts and whole numbers
                # hardly ever have three decimals behind a comma
                choices[0] if choices[0] == "," and meaning.format in _HARDLY_IN_THOUSANDTHS else None,
            )
    if (
        meaning.format == "percent"
        and f"{column.name}.unsigned" not in answers.read
        and _is_open(column, answers.read.get(f"{column.name}.sign", spelling.keys.get("sign")))
    ):
        yield Question(
            f"--read {column.name}.unsigned=",
            f"{column.name} ({examples}) has numbers without a percent sign, {column.n_small:,} below 1 and "
            f"{column.n_large:,} above. Is 0.5 half a percent, or 50 %? If the column mixes both, correct the file.",
            ("percent", "fraction"),
        )
    if meaning.name == "outcome":
        for text, n in column.values:
            if text not in answers.outcome and outcome_of(column.name, text) is None:
                yield Question(
                    f"--outcome {text}=",
                    f"{column.name} has the value {text!r} ({n:,} times). What does it mean for the loan? "
                    "running and unknown: the row has no outcome yet, or none that fits, and is not a label.",
                    OUTCOMES,
                )


def accepted_thousands(column: ColumnProfile, spelling: Spelling, answers: Answers) -> str | None:
    """What a person should know of commas before three digits that are read as thousands; None where there are none."""
    said = _answered(column, spelling, answers)
    if "thousands" not in spelling.choices or said.get("thousands") != ",":
        return None
    example = next(shape.example for shape in column.shapes if "," in shape.text)
    return (
        f"{example} is read with a separator of thousands, as {example.replace(',', '')}: every comma stands before "
        f"three digits. If it is a decimal comma: --read {column.name}.decimal=,"
    )


def outcomes_of(column: ColumnProfile, answers: Answers) -> dict[str, str]:
    """Text → default, repaid or running."""
    return {
        text: written_outcome(answers.outcome.get(text) or outcome_of(column.name, text) or "unknown")
        for text, _ in column.values
    }


def require_values(column: ColumnProfile, answers: Answers) -> None:
    """Raises SettingError for an answer about a value that the outcome column does not have."""
    values = [text for text, _ in column.values]
    if not values and column.n_given:
        raise SettingError(
            f"the column of the outcome must have a few values: found {column.n_distinct:,} different ones in "
            f"{column.name}; name another with --column outcome="
        )
    if strange := [text for text in answers.outcome if text not in values]:
        raise SettingError(
            f"--outcome must name a value of {column.name}, one of {', '.join(values)}: found {', '.join(strange)}"
        )


def unmapped(meaning: str, column: ColumnProfile) -> tuple[str, ...]:
    """The texts of a vocabulary's column that no word of it fits."""
    return tuple(text for text, _ in column.values if meaning_of(meaning, text) is None)


def _answered(column: ColumnProfile, spelling: Spelling, answers: Answers) -> dict[str, Any]:
    """The keys of the column's reading that a person has said."""
    prefix = f"{column.name}."
    given = {key.removeprefix(prefix): value for key, value in answers.read.items() if key.startswith(prefix)}
    said: dict[str, Any] = {key: int(value) if value.isdecimal() else value for key, value in given.items()}
    mark = "," if any("," in shape.text for shape in column.shapes) else "."
    if "thousands" in spelling.choices and "decimal" in said and "thousands" not in said:
        said["thousands"] = "none" if said["decimal"] == mark else mark
    if said.get("thousands") == "none":
        said |= {"thousands": "", "decimal": mark}
    elif said.get("thousands") == ".":
        said["decimal"] = ","
    if "currency" in said and "currency" in spelling.keys:
        said["currency"] = marks_of(str(said["currency"]), spelling.keys["currency"])
    return said


def _typed(
    meaning: Meaning, column: ColumnProfile, spelling: Spelling, keys: dict[str, Any], answers: Answers
) -> dict[str, Any]:
    """Format and the keys that the texts need."""
    if meaning.name == "outcome":
        return {"format": "text", "values": outcomes_of(column, answers)}
    if meaning.name in VOCABULARIES:
        values = {text: meaning_of(meaning.name, text) or "other" for text, _ in column.values}
        return {"format": "text", "values": values}
    if meaning.format == "boolean":
        return _boolean(column)
    if spelling.kind in ("date", "timestamp", "month"):
        return {"format": spelling.kind, **keys}
    return {"format": meaning.format} if meaning.format in ("id", "text") else _number(meaning, column, keys)


def _number(meaning: Meaning, column: ColumnProfile, keys: dict[str, Any]) -> dict[str, Any]:
    keys = {key: value for key, value in keys.items() if (key, value) not in (("decimal", "."), ("thousands", ""))}
    sign, unsigned = keys.pop("sign", None), keys.pop("unsigned", None)
    if meaning.format != "percent":  # 12% among amounts is none of them
        return {"format": meaning.format, **keys}
    keys.pop("currency", None)  # nor is $5 a rate
    if sign == "optional":
        return {"format": "percent", "sign": sign, "unsigned": unsigned, **keys}
    if sign == "required":
        return {"format": "percent", **keys}
    if sign == "none":
        return {"format": "percent", "sign": sign, **keys}
    is_fraction = (unsigned or _scale(column)) == "fraction"
    return {"format": "double", **keys} if is_fraction else {"format": "percent", "sign": "none", **keys}


def _scale(column: ColumnProfile) -> str | None:
    """Whether numbers without a percent sign are fractions or percent, where their size says so."""
    if column.high is None or column.middle is None:
        return None
    if min(column.n_small, column.n_large) > _NOTICEABLE * (column.n_small + column.n_large):
        return None
    return "fraction" if column.high <= 1 else "percent" if column.middle >= 2 else None


def _is_open(column: ColumnProfile, sign: str | None) -> bool:
    return sign == "optional" or (sign is None and _scale(column) is None)


def _boolean(column: ColumnProfile) -> dict[str, Any]:
    texts = [text for text, _ in column.values]
    if {text.lower() for text in texts} <= BOOLEANS:
        return {"format": "boolean"}
    known = {text: meaning_of("income_verified", text) for text in texts}
    values = {text: value == "true" for text, value in known.items() if value is not None}
    left = [text for text, value in known.items() if value is None]
    return {"format": "boolean", "values": values, **({"missing": left} if left else {})}


def _unit(meaning: Meaning, column: ColumnProfile, spelling: Spelling) -> str | None:
    if meaning.name == "birth_year":
        return spelling.kind
    if meaning.name not in ("term_months", "months_past_due", "annual_income", "employment_years"):
        return None
    text = f"{column.name} {spelling.keys.get('suffix', '')}".lower()
    return next((unit for unit, words in _UNITS.items() if any(word in text for word in words)), None)


#: Meaning and unit → the typed column's name, and its value in the contract.
_CONVERSIONS = {
    ("term_months", "days"): ("term_days", "{{ months_of_days('term_days') }}"),
    ("term_months", "years"): ("term_years", "12 * term_years"),
    ("months_past_due", "days"): ("days_past_due", "{{ months_late('days_past_due') }}"),
    ("annual_income", "months"): ("monthly_income", "12 * monthly_income"),
    ("employment_years", "months"): ("employment_months", "employment_months / 12"),
    ("birth_year", "date"): ("born_on", "cast(extract(year from born_on) as integer)"),
}


def _name(meaning: Meaning, column: ColumnProfile, spelling: Spelling, unit: str | None) -> str:
    if (meaning.name, unit) in _CONVERSIONS:
        return _CONVERSIONS[meaning.name, unit or ""][0]
    if meaning.name == "decided_at" and spelling.kind != "timestamp":
        return "decided_on"
    if meaning.name == "outcome_at" and not any(word in column.name for word in ("_on", "_at", "date")):
        return f"{column.name}_{'at' if spelling.kind == 'timestamp' else 'on'}"
    keeps_name = meaning.name in _KEEP_THEIR_NAME and re.fullmatch("[a-z_][a-z0-9_]*", column.name)
    return column.name if keeps_name and column.name not in reserved() else meaning.name


@cache
def reserved() -> frozenset[str]:
    """Words that SQL reads as its own unless they are quoted."""
    with duckdb.connect() as con:
        rows = con.execute("select keyword_name from duckdb_keywords() where keyword_category = 'reserved'").fetchall()
    return frozenset(name for (name,) in rows)


def _limits(meaning: Meaning, form: str, unit: str | None, *, is_coded: bool) -> dict[str, Any]:
    if is_coded or form in ("id", "text", "boolean", "date", "timestamp", "month"):
        return {}
    low, high = meaning.low, meaning.high
    if high is not None and meaning.name in ("term_months", "months_past_due"):
        high = {"days": 30 * high, "years": high // 12}.get(unit or "", high)
    if meaning.name == "employment_years" and unit == "months" and high is not None:
        high = 12 * high
    own_low, own_high = _OWN_LIMITS.get(form, (None, None))
    found = {"min": low if low != own_low else None, "max": high if high != own_high else None}
    return {key: value for key, value in found.items() if value is not None}


def _sql(meaning: Meaning, name: str, unit: str | None, spelling: Spelling) -> str:
    """The value in the contract, of the typed column."""
    if (meaning.name, unit) in _CONVERSIONS:
        return _CONVERSIONS[meaning.name, unit or ""][1]
    is_day = meaning.format == "timestamp" and spelling.kind != "timestamp"
    return f"cast({name} as timestamp)" if is_day else name


def names(fields: Sequence[Field]) -> Mapping[str, Field]:
    """Fields by their meaning."""
    return {each.meaning: each for each in fields}
