"""A scorecard as people read it: one row per bin, for a page, a spreadsheet and MLflow."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MISSING = "missing"


@dataclass(frozen=True)
class Bins:
    """The bins of one column: of values in order, and a last one for missing values.

    ``edges``: where a bin ends and the next begins; a value equal to an edge lies in the upper bin. ``points``,
    ``n_rows``, ``n_defaults``, ``woe``: one per bin, so one more than bins of values. ``woe``: weight of evidence, the
    log of a bin's share of all defaults over its share of all other rows; above 0 is riskier than the whole.
    """

    edges: tuple[float, ...]
    points: tuple[int, ...]
    n_rows: tuple[int, ...]
    n_defaults: tuple[int, ...]
    woe: tuple[float, ...]

    @property
    def information_value(self) -> float:
        """Of the column's rows, each counted once: see :func:`information_value`."""
        return information_value(self.n_rows, self.n_defaults)


@dataclass(frozen=True)
class CardRow:
    """One bin of one column.

    ``column``: a feature, or ``feature=value`` for one value of a category. ``values``: which values the bin has.
    ``default_rate``: of the rows that the card was made from, None without any. ``information_value``: the column's.
    """

    column: str
    values: str
    points: int
    n_rows: int
    default_rate: float | None
    woe: float
    information_value: float


def weight_of_evidence(bad: Floats, good: Floats) -> Floats:
    """Of each bin, 0 for an empty one; half a row more of each kind keeps it finite."""
    of_bad, of_good = (bad + 0.5) / (bad.sum() + 0.5), (good + 0.5) / (good.sum() + 0.5)
    return np.where(bad + good > 0, np.log(of_bad / of_good), 0.0)


def information_value(n_rows: Sequence[int], n_defaults: Sequence[int]) -> float:
    """How well bins part defaults from other rows: 0 not at all, above .3 strongly (Siddiqi 2006).

    >>> round(information_value([100, 100], [10, 30]), 4)
    0.4113
    """
    bad = np.array(n_defaults, dtype=float)
    good = np.array(n_rows, dtype=float) - bad
    shares = bad / max(bad.sum(), 1.0) - good / max(good.sum(), 1.0)
    return float((shares * weight_of_evidence(bad, good)).sum())


def card_rows(names: Sequence[str], columns: Sequence[Bins]) -> list[CardRow]:
    """The bins of columns that give or take points, the column with the highest information value first.

    ``names``: those of the design matrix's columns, in order. A column without points changes no score.
    """
    used = [(name, bins) for name, bins in zip(names, columns, strict=True) if any(bins.points)]
    used.sort(key=lambda each: -each[1].information_value)
    return [row for name, bins in used for row in _rows(name, bins)]


def card_csv(rows: Sequence[CardRow], base: int) -> str:
    """The card as CSV; its first line has the points of every applicant."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(field.name for field in fields(CardRow))
    lines.writerow(["(every applicant)", "", base, "", "", "", ""])
    lines.writerows(astuple(row) for row in rows)
    return text.getvalue()


def card_html(rows: Sequence[CardRow], base: int, points_to_double: float) -> str:
    """The card as an HTML table; a page gives it its style."""
    caption = (
        f"<caption>Points are added. More mean less risk: {points_to_double:g} points more double the odds that a loan "
        "is repaid, before calibration.</caption>"
    )
    head = "".join(
        f"<th>{name}" for name in ("Column", "Values", "Points", "Rows", "Default rate", "Weight of evidence")
    )
    lines = [f"<tr>{head}", f"<tr><td>Every applicant<td><td>{base}<td><td><td>"]
    before = ""
    for row in rows:
        name = "" if row.column == before else f"{row.column} (information value {row.information_value:.3f})"
        before = row.column
        rate = "" if row.default_rate is None else f"{row.default_rate:.1%}"
        cells = (name, row.values, f"{row.points:+d}", f"{row.n_rows:,}", rate, f"{row.woe:.2f}")
        lines.append(f"<tr>{''.join(f'<td>{escape(cell)}' for cell in cells)}")
    return f"<table>\n{caption}\n" + "\n".join(lines) + "\n</table>"


def _rows(name: str, bins: Bins) -> Iterator[CardRow]:
    value = bins.information_value
    for words, points, n, n_defaults, woe in zip(
        _words(bins.edges, "=" in name), bins.points, bins.n_rows, bins.n_defaults, bins.woe, strict=True
    ):
        yield CardRow(name, words, points, n, n_defaults / n if n else None, woe, value)


def _words(edges: Sequence[float], is_category: bool) -> list[str]:
    """The bins in words.

    >>> _words([1.5, 3.0], is_category=False)
    ['below 1.5', '1.5 to below 3', '3 and above', 'missing']
    >>> _words([0.155950002372], is_category=False)
    ['below 0.15595', '0.15595 and above', 'missing']
    """
    if is_category and len(edges) == 1:
        return ["no", "yes", MISSING]
    if not edges:
        return ["any", MISSING]
    # the shortest text that reads back as the same float32, which is what values are compared as
    texts = [np.format_float_positional(np.float32(edge), trim="-") for edge in edges]
    between = [f"{low} to below {high}" for low, high in pairwise(texts)]
    return [f"below {texts[0]}", *between, f"{texts[-1]} and above", MISSING]
