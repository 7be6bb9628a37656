"""What a column may mean: a column of a contract, proposed by its name (``meanings.yml``) and allowed by its values.

A column called ``amount`` whose values are texts is not an amount. The limits of a value are those of the core models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from warehouse.profiling.profile import ColumnProfile
from warehouse.profiling.spelling import Kind, Spelling
from warehouse.profiling.vocabulary import are_outcomes
from warehouse.settings import DBT_PROJECT_DIR

#: A contract, which a kind of file fills.
Contract = Literal["applications", "outcomes", "statements", "demographics"]
CONTRACTS: tuple[Contract, ...] = get_args(Contract)
#: How well a name fits: it is a synonym, or it has one between underscores.
EXACT, PART = 2, 1
#: Formats of numbers, and those that hold any text.
_NUMBERS, _ANY = ("amount", "double", "integer", "count", "percent"), ("id", "text", "boolean")
#: Kinds of dates and times.
DATED: tuple[Kind, ...] = ("date", "timestamp", "month")
#: What a core column's unit may be multiplied by in a file, by meaning or format: percent, days of a month; the rate of
#: a payday loan is above 100 % a year.
_SCALES = {"annual_rate": 1000.0, "percent": 100.0, "integer": 31.0}
_DATE_WORDS = frozenset(
    ["date", "datum", "fecha", "data", "dat", "dt", "on", "at", "time", "timestamp", "day", "month", "am"]
)
#: The day of a settlement, which few loans have, is not the day on which loans end.
_ENOUGH_ENDED = 0.3
#: Words of a name that is an id's.
_ID_WORDS = frozenset(("id", "no", "nr", "num", "number", "numero", "nummer", "key", "code", "ref", "uuid"))


@dataclass(frozen=True)
class Meaning:
    """A column of a contract. ``of``: contracts whose files have it; ``low``, ``high``: limits of its core column."""

    name: str
    of: tuple[Contract, ...]
    format: str
    names: frozenset[str]
    required: bool
    low: float | None
    high: float | None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of values that it may have."""
        if self.name == "birth_year":
            return ("number", "date")
        if self.name in VOCABULARIES:
            return ("text",)
        if self.format in _NUMBERS:
            return ("number",)
        return ("text", "number") if self.format in _ANY else DATED


#: Columns whose core model accepts a list of values: a file's words are mapped to it.
VOCABULARIES = ("purpose", "home_ownership")


#: What core adds to a staging model's columns: the lender, and which version of a row it is.
_ADDED = frozenset({"source", "superseded_at", "loaded_at", "is_known_by_load"})


@cache
def contract_columns(contract: Contract) -> Mapping[str, Mapping[str, Any]]:
    """The columns of a contract, in order, as its core model's YAML describes them; without those that core adds."""
    path = DBT_PROJECT_DIR / "models" / "core" / f"int_{contract}.yml"
    columns = yaml.safe_load(path.read_text())["models"][0]["columns"]
    return {column["name"]: column for column in columns if column["name"] not in _ADDED}


@cache
def meanings() -> Mapping[str, Meaning]:
    """Every meaning by its name, in the order of preference."""
    found = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text())
    return {name: _meaning(name, entry) for name, entry in found.items()}


def _meaning(name: str, entry: Mapping[str, Any]) -> Meaning:
    tests = [
        test
        for contract in entry["of"]
        for test in contract_columns(contract).get(name, {}).get("data_tests", [])
        if isinstance(test, dict)
    ]
    limits: Mapping[str, float] = next(
        (test["within_range"]["arguments"] for test in tests if "within_range" in test), {}
    )
    return Meaning(
        name=name,
        of=tuple(entry["of"]),
        format=entry["format"],
        names=frozenset([name, *entry["names"]]),
        required=entry.get("required", False),
        low=limits.get("low"),
        high=limits.get("high"),
    )


def accepted_values(name: str) -> tuple[str, ...]:
    """The values that the core column of a vocabulary accepts."""
    tests = contract_columns("applications")[name]["data_tests"]
    return tuple(next(test["accepted_values"]["arguments"]["values"] for test in tests if "accepted_values" in test))


def fit(meaning: Meaning, column: ColumnProfile, spelling: Spelling) -> int:
    """How well a column fits a meaning by its name, 0 if not at all or if its values cannot mean this."""
    # as a borrower's id, a column without any value would set all rows aside
    is_empty = column.n_rows > 0 and column.n_given == 0
    if is_empty or spelling.kind not in meaning.kinds or not _may_mean(meaning, column, spelling):
        return 0
    if column.name in meaning.names:
        return EXACT
    if meaning.name == "outcome":  # `marital_status` has a status too
        return PART if are_outcomes(value for value, _ in column.values) else 0
    if meaning.format == "id" and not _ID_WORDS.intersection(column.name.split("_")):  # `loan_grade` is of a loan too
        return 0
    padded = f"_{column.name}_"
    return PART if any(f"_{name}_" in padded for name in meaning.names if len(name) > 2) else 0


def looks_dated(name: str) -> bool:
    """Whether a column's name is that of a date, so that digits alone may be one.

    >>> looks_dated("issue_date"), looks_dated("fecha_fin"), looks_dated("amount"), looks_dated("opened_on")
    (True, True, False, True)
    """
    return bool(_DATE_WORDS.intersection(name.split("_"))) or any(
        name in meaning.names for meaning in meanings().values() if meaning.kinds == DATED
    )


def assigned(
    columns: Sequence[tuple[ColumnProfile, Spelling]], contract: Contract, said: Mapping[str, str | None]
) -> dict[str, str]:
    """Meaning → column of one file, the best names first; ``said``: what a person has said (None: no column has it).

    Each column has one meaning, and each meaning one column.
    """
    found = {meaning: column for meaning, column in said.items() if column is not None}
    offers = sorted(
        (-score, at, meaning.name, column.name)
        for at, meaning in enumerate(meanings().values())
        if contract in meaning.of and meaning.name not in said
        for column, spelling in columns
        if (score := fit(meaning, column, spelling))
    )
    for _, _, meaning_name, column_name in offers:
        if meaning_name not in found and column_name not in found.values():
            found[meaning_name] = column_name
    return found


def _may_mean(meaning: Meaning, column: ColumnProfile, spelling: Spelling) -> bool:
    is_number = spelling.kind == "number"
    own_rules = {
        "outcome": 1 < column.n_distinct <= 20,
        "application_id": column.n_distinct >= 0.9 * column.n_given and (not is_number or _is_whole(column)),
        "outcome_at": column.n_given >= _ENOUGH_ENDED * column.n_rows,
    }
    if meaning.name in own_rules:
        return own_rules[meaning.name]
    if not is_number:
        return True
    if meaning.format in (*_ANY, "count"):
        return _is_whole(column)
    return column.middle is None or _is_within(meaning, column.middle)


def _is_whole(column: ColumnProfile) -> bool:
    """Whether the most frequent shape of a number has no fraction."""
    return not any("." in shape.text or "," in shape.text for shape in column.shapes[:1])


def _is_within(meaning: Meaning, middle: float) -> bool:
    scale = _SCALES.get(meaning.name, _SCALES.get(meaning.format, 1.0))
    high = None if meaning.high is None else meaning.high * scale
    return (meaning.low is None or middle >= meaning.low) and (high is None or middle <= high)
