"""The words that files use for outcomes, purposes and homes (``vocabulary.yml``), and what they mean here."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import yaml

Outcome = Literal["default", "repaid", "running"]
#: The answers for a value of an outcome column. ``unknown``: the row has no outcome, as that of a running loan.
OUTCOMES: tuple[str, ...] = (*get_args(Outcome), "unknown")
#: Words of a column's name that say what 1 and yes mean in it.
_BAD_NAMES = frozenset(
    (
        *("default", "defaulted", "bad", "npl", "chargeoff", "ausfall", "ausgefallen", "incumplimiento", "impago"),
        *("mora", "defaut", "impaye", "inadimplente", "inadimplencia", "insolvenza"),
    )
)
_GOOD_NAMES = frozenset(["good", "repaid", "paid", "performing", "bezahlt", "getilgt", "pagado", "rembourse"])
#: Columns each of whose values has an opposite: a negation would exchange them.
_OPPOSED = ("outcome", "income_verified")


def written_outcome(answer: str) -> str:
    """The outcome that staging has for an answer: a running loan, and one whose end is unknown, have no label."""
    return "running" if answer == "unknown" else answer


@cache
def words(column: str) -> Mapping[str, str]:
    """Word → value, of a column in ``vocabulary.yml``."""
    found = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text())[column]
    return {word: value for value, named in found.items() for word in named}


def yes_or_no(text: str) -> str | None:
    """Whether a flag's whole text says ``yes`` or ``no``, in any language of the vocabulary; None for other texts.

    >>> yes_or_no("Ja"), yes_or_no("0.0"), yes_or_no("maybe")
    ('yes', 'no', None)
    """
    return words("yes_no").get(text.casefold())


def meaning_of(column: str, text: str) -> str | None:
    """The value that a text means in a column; None if no word fits, or if the text negates or doubts the word.

    >>> meaning_of("outcome", "Written-Off"), meaning_of("purpose", "home renovation"), meaning_of("purpose", "boat")
    ('default', 'home_improvement', None)
    >>> meaning_of("outcome", "not written off"), meaning_of("outcome", "no default"), meaning_of("outcome", "paid?")
    (None, 'repaid', None)
    """
    plain, known = _plain(text), words(column)
    is_opposed = column in _OPPOSED
    if is_opposed and "?" in text:
        return None
    if plain in known:
        return known[plain]
    if column == "income_verified" and (flag := yes_or_no(text)) is not None:
        return "true" if flag == "yes" else "false"
    held = [word for word in known if f" {word} " in f" {plain} "]
    if not held:
        return None
    # the longest word in it says most: "not verified" before "verified", "fully paid" before "paid"
    longest = max(held, key=len)
    rest = f" {plain} ".replace(f" {longest} ", "  ")
    return None if is_opposed and is_negated(rest) else known[longest]


def is_negated(text: str) -> bool:
    """Whether a text or a column's name has a word for "not" or "in part", in any language of the vocabulary.

    >>> is_negated("not_defaulted"), is_negated("Teilweise bezahlt"), is_negated("defaulted")
    (True, True, False)
    """
    return not words("negation").keys().isdisjoint(_plain(text).split())


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def outcome_of(name: str, text: str) -> str | None:
    """What a value of an outcome column means: a flag by the column's name, any other by its words; None if unknown.

    >>> outcome_of("loan_default", "1"), outcome_of("not_default", "1"), outcome_of("status", "1")
    ('default', None, None)
    """
    flag = yes_or_no(text)
    if flag is None:
        return meaning_of("outcome", text)
    if is_negated(name):
        return None
    parts = set(name.split("_"))
    is_bad, is_good = bool(parts & _BAD_NAMES), bool(parts & _GOOD_NAMES)
    if is_bad == is_good:
        return None
    return "default" if (flag == "yes") == is_bad else "repaid"


def are_outcomes(values: Iterable[str]) -> bool:
    """Whether every value is a word for an outcome, and one of them for a default."""
    found = {meaning_of("outcome", value) for value in values}
    return "default" in found and None not in found
