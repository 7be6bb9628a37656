"""The words that files use for outcomes, purposes and homes (``vocabulary.yml``), and what they mean here."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import yaml

Outcome = Literal["default", "repaid", "running"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
#: Words of a column's name that say what 1 and yes mean in it.
_BAD_NAMES = frozenset(
    ("default", "defaulted", "bad", "npl", "ausfall", "incumplimiento", "defaut", "impaye", "inadimplente", "mora")
)
_GOOD_NAMES = frozenset(["good", "repaid", "paid", "performing"])
_YES, _NO = frozenset({"1", "1.0", "yes", "y", "true", "t"}), frozenset({"0", "0.0", "no", "n", "false", "f"})


@cache
def words(column: str) -> Mapping[str, str]:
    """Word → value, of a column in ``vocabulary.yml``."""
    found = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text())[column]
    return {word: value for value, named in found.items() for word in named}


def meaning_of(column: str, text: str) -> str | None:
    """The value that a text means in a column; None if no word fits.

    >>> meaning_of("outcome", "Written-Off"), meaning_of("purpose", "home renovation"), meaning_of("purpose", "boat")
    ('default', 'home_improvement', None)
    """
    plain = re.sub(r"[\W_]+", " ", text.casefold()).strip()
    known = words(column)
    if plain in known:
        return known[plain]
    # the longest word in it says most: "not verified" before "verified", "fully paid" before "paid"
    held = [word for word in known if f" {word} " in f" {plain} "]
    return known[max(held, key=len)] if held else None


def outcome_of(name: str, text: str) -> str | None:
    """What a value of an outcome column means: a flag by the column's name, any other by its words; None if unknown.

    >>> outcome_of("loan_default", "1"), outcome_of("repaid", "1"), outcome_of("status", "1")
    ('default', 'repaid', None)
    """
    flag = text.casefold()
    if flag not in _YES | _NO:
        return meaning_of("outcome", text)
    parts = set(name.split("_"))
    is_bad, is_good = bool(parts & _BAD_NAMES), bool(parts & _GOOD_NAMES)
    if is_bad == is_good:
        return None
    return "default" if (flag in _YES) == is_bad else "repaid"


def are_outcomes(values: Iterable[str]) -> bool:
    """Whether every value is a word for an outcome, and one of them for a default."""
    found = {meaning_of("outcome", value) for value in values}
    return "default" in found and None not in found
