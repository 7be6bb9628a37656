"""How a column writes its values: as numbers or dates with these details, or as plain text. Pure rules over shapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from warehouse.profiling.profile import ColumnProfile, Shape
from warehouse.profiling.spelling.dates import DATE_KINDS, date_spelling
from warehouse.profiling.spelling.numbers import number_spelling

Kind = Literal["number", "date", "timestamp", "month", "text"]
#: A kind is proposed if it fits at least this share of the given texts: the others are set aside, with their line.
ENOUGH = 0.8
#: Texts that people write for "no value", beside the words that every format knows.
NO_VALUE = frozenset(
    {
        *("-", "--", "---", ".", "?", "*", "x", "nil", "n.a.", "n/d", "nd", "s/d", "k.a.", "unknown", "unk", "missing"),
        *("not available", "not provided", "not stated", "keine angabe", "unbekannt", "inconnu", "desconocido"),
        *("sin dato", "sconosciuto", "onbekend", "okänd", "brak", "(blank)", "(null)", "#n/d", "#null!"),
    }
)


@dataclass(frozen=True)
class Spelling:
    """A column's kind, the keys of its reading (``decimal``, ``pattern``, …) and how many texts fit.

    ``choices``: where texts may mean two things, key → the values that it can have; a person must choose.
    ``missing``: texts that mean "no value". ``odd``: examples of texts that fit nothing and would be set aside.
    """

    kind: Kind
    n_fitting: int
    keys: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    n_odd: int = 0


def spelling_of(column: ColumnProfile, *, may_be_date: bool) -> Spelling:
    """The kind that fits most texts of a column; ``may_be_date``: by its name, digits alone may be a date."""
    missing = [shape for shape in column.shapes if shape.text.lower() in NO_VALUE]
    shapes = [shape for shape in column.shapes if shape not in missing]
    n = column.n_given - sum(shape.n for shape in missing)
    words = tuple(shape.text.lower() for shape in missing)
    date = date_spelling(shapes, column, may_be_digits=may_be_date)
    if date is not None and n and date.n >= ENOUGH * n:
        odd = _odd(shapes, date.fitting)
        return Spelling(DATE_KINDS[date.form], date.n, date.keys, date.choices, words, odd, n - date.n)
    number = number_spelling(shapes)
    if number is not None and n and number.n >= ENOUGH * n:
        odd = _odd(shapes, number.fitting)
        return Spelling("number", number.n, number.keys, number.choices, words, odd, n - number.n)
    return Spelling("text", column.n_given)


def _odd(shapes: Sequence[Shape], fitting: frozenset[str]) -> tuple[str, ...]:
    return tuple(shape.example for shape in shapes if shape.text not in fitting)[:3]
