"""A file's columns as DuckDB counts them: how many texts are given, which shapes they have, which values repeat."""

from dataclasses import dataclass

import duckdb

from warehouse.sql.quoting import identifier, literal
from warehouse.values.formats import BLANKS, NULL_WORDS

#: Most shapes kept of a column; numbers of any length and precision have fewer.
MOST_SHAPES = 500
#: Most different values that are kept; a column of codes or states has fewer.
MOST_VALUES = 60
#: Of fewer dates, years between them say nothing.
_ENOUGH_DATES = 10


@dataclass(frozen=True)
class Shape:
    """Texts that are alike but for their digits (each written ``9``): how many, and one of them."""

    text: str
    n: int
    example: str


@dataclass(frozen=True)
class ColumnProfile:
    """One column of text.

    ``n_given``: texts that are not empty and no null word. ``shapes``: the most frequent first. ``values``: every
    value with its count, the most frequent first; empty if there are more than ``MOST_VALUES``. ``null_words``: texts
    such as ``NA``, which only numbers and dates take for no value by themselves. ``low``, ``middle``,
    ``high``: of the texts that are a number once signs are removed and a comma is read as a point. ``first_part``,
    ``second_part``: the greatest first and second number of texts such as 03/04/2024. ``n_small``, ``n_large``: of the
    numbers without a percent sign, those between 0 and 1 and those above 1, by their size. ``years``: the two newest
    years that texts have, each with its count.
    """

    name: str
    n_rows: int
    n_given: int
    n_distinct: int
    shapes: tuple[Shape, ...] = ()
    values: tuple[tuple[str, int], ...] = ()
    null_words: tuple[str, ...] = ()
    low: float | None = None
    middle: float | None = None
    high: float | None = None
    first_part: int = 0
    second_part: int = 0
    n_small: int = 0
    n_large: int = 0
    years: tuple[tuple[int, int], ...] = ()

    @property
    def lone_year(self) -> tuple[int, int] | None:
        """The newest year and the next newest, if one text alone has the newest and a year without any lies between."""
        if len(self.years) < 2 or self.n_given < _ENOUGH_DATES:
            return None
        (newest, n), (before, _) = self.years
        return (newest, before) if n == 1 and newest - before >= 2 else None

    @property
    def is_unique(self) -> bool:
        """Whether each row has a value of its own."""
        return self.n_rows > 0 and self.n_distinct == self.n_given == self.n_rows


@dataclass(frozen=True)
class FileProfile:
    """A file's columns, in file order."""

    entity: str
    n_rows: int
    columns: tuple[ColumnProfile, ...]


def profile_table(con: duckdb.DuckDBPyConnection, table: str, entity: str) -> FileProfile:
    """The profile of a table whose columns are all text; columns beginning with ``_`` are left out."""
    names = [name for name, *_ in con.execute(f"describe {identifier(table)}").fetchall() if not name.startswith("_")]
    columns = tuple(_profile_column(con, table, name) for name in names)
    return FileProfile(entity, columns[0].n_rows if columns else 0, columns)


def _profile_column(con: duckdb.DuckDBPyConnection, table: str, name: str) -> ColumnProfile:
    words = ", ".join(map(literal, NULL_WORDS))
    # in one Unicode form, as staging compares it
    texts = f"(select nfc_normalize(trim({identifier(name)}, {literal(BLANKS)})) as text from {identifier(table)})"
    given = f"(select text from {texts} where lower(text) not in ({words}))"
    number = "try_cast(replace(regexp_replace(text, '[^0-9.,eE+-]', '', 'g'), ',', '.') as double)"
    parts = "^([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ][0-9]{2}"
    (counts,) = con.execute(
        f"select (select count(*) from {identifier(table)}), count(*), count(distinct text), "
        f"min({number}), median({number}), max({number}), "
        f"coalesce(max(try_cast(regexp_extract(text, '{parts}', 1) as integer)), 0), "
        f"coalesce(max(try_cast(regexp_extract(text, '{parts}', 2) as integer)), 0), "
        f"count(*) filter (not contains(text, '%') and abs({number}) > 0 and abs({number}) < 1), "
        f"count(*) filter (not contains(text, '%') and abs({number}) > 1) from {given}"
    ).fetchall()
    n_rows, n_given, n_distinct, low, middle, high, first_part, second_part, n_small, n_large = counts
    shapes = con.execute(
        f"select regexp_replace(text, '[0-9]', '9', 'g') as shape, count(*) as n, min(text) from {given} "
        f"group by shape order by n desc, shape limit {MOST_SHAPES}"
    ).fetchall()
    year = "try_cast(regexp_extract(text, '(?:^|[^0-9])([12][0-9]{3})(?:[^0-9]|$)', 1) as integer)"
    years = con.execute(
        f"select {year} as year, count(*) from {given} where {year} is not null "
        "group by year order by year desc limit 2"
    ).fetchall()
    null_words = con.execute(
        f"select distinct text from {texts} where text <> '' and lower(text) in ({words}) order by text"
    ).fetchall()
    values = (
        con.execute(f"select text, count(*) as n from {given} group by text order by n desc, text").fetchall()
        if n_distinct <= MOST_VALUES
        else []
    )
    return ColumnProfile(
        name=name,
        n_rows=n_rows,
        n_given=n_given,
        n_distinct=n_distinct,
        shapes=tuple(Shape(*row) for row in shapes),
        values=tuple(values),
        null_words=tuple(word for (word,) in null_words),
        low=low,
        middle=middle,
        high=high,
        first_part=first_part,
        second_part=second_part,
        n_small=n_small,
        n_large=n_large,
        years=tuple(years),
    )
