"""What can be drawn: lines, bars, spans of time, heat maps, tables, and the reason why there is nothing to draw.

A value that is None is a gap, never a zero. Texts may come from a lender's files: drawing escapes them.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

#: How a value is written: a share as a percentage, an index with three digits, an amount in short, a whole number.
Form = Literal["share", "index", "amount", "count"]
#: ``line``: joined values; ``dashed``: the same, for a second estimate or a limit; ``points``: single values.
LineKind = Literal["line", "dashed", "points"]
Values = Sequence[float | None]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One value for each place on the x-axis; ``low`` and ``high``: its interval. ``tone``: colour, 0 to 7."""

    name: str
    values: Values
    low: Values = ()
    high: Values = ()
    kind: LineKind = "line"
    tone: int = 0


class Mark(msgspec.Struct, frozen=True):
    """A vertical line at a number of the x-axis."""

    name: str
    at: float


class _Figure(msgspec.Struct, frozen=True, kw_only=True):
    """``name``: unique on a page; ``title``: what is drawn; ``about``: how to read it, and what is left out."""

    name: str
    title: str
    about: str = ""


class Lines(_Figure, frozen=True, kw_only=True, tag="lines"):
    """Lines over months, months on book or names; over ``numbers`` if the places are not evenly apart."""

    places: Sequence[str]
    lines: Sequence[Line]
    form: Form
    place_title: str = "Month"
    numbers: Sequence[float] = ()
    marks: Sequence[Mark] = ()
    from_zero: bool = False


class Bars(_Figure, frozen=True, kw_only=True, tag="bars"):
    """Horizontal bars side by side: for each name one of each line; an interval is drawn as a whisker."""

    names: Sequence[str]
    lines: Sequence[Line]
    form: Form
    name_title: str


class Span(msgspec.Struct, frozen=True):
    """A time from ``start`` to ``end``, ISO 8601; ``end`` None lasts until the figure's ``until``."""

    start: str
    end: str | None
    role: str


class SpanRow(msgspec.Struct, frozen=True):
    """One row of spans."""

    name: str
    spans: Sequence[Span]


class Spans(_Figure, frozen=True, kw_only=True, tag="spans"):
    """When each row was in which role; ``until``: the right end, ISO 8601."""

    rows: Sequence[SpanRow]
    until: str


class Cell(msgspec.Struct, frozen=True):
    """A cell of a heat map. ``level`` 0 to 4 gives its colour; from 3 on it is marked by a sign too."""

    text: str
    level: int
    about: str = ""
    href: str = ""


class HeatRow(msgspec.Struct, frozen=True):
    """A row; a cell of None is a gap."""

    name: str
    cells: Sequence[Cell | None]
    href: str = ""


class Heat(_Figure, frozen=True, kw_only=True, tag="heat"):
    """A heat map: it is a table, so that it can be read, searched and printed as one."""

    columns: Sequence[str]
    rows: Sequence[HeatRow]
    row_title: str


class Table(_Figure, frozen=True, kw_only=True, tag="table"):
    """Rows of texts; ``n_texts``: how many first columns are words, the others are figures."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_texts: int = 1


class Folded(msgspec.Struct, frozen=True, tag="folded"):
    """Figures behind a summary line that opens them."""

    summary: str
    figures: "Sequence[Figure]"


class Missing(msgspec.Struct, frozen=True, tag="missing"):
    """Nothing to draw: what is missing, and the command that makes it."""

    what: str
    command: str = ""


class Note(msgspec.Struct, frozen=True, tag="note"):
    """A sentence between figures."""

    text: str


Figure = Lines | Bars | Spans | Heat | Table | Folded | Missing | Note
