"""Horizontal bars beside names, and spans of time, as SVG."""

from datetime import UTC, datetime

from ml.figures.elements import Element, canvas, element, number
from ml.figures.forms import between, written
from ml.figures.shapes import Bars, Spans

WIDTH, LABELS, VALUES = 380.0, 128.0, 50.0
BAR, GAP = 13.0, 9.0
_MOST_LETTERS = 19
_ROLES = {"champion": 0, "challenger": 1, "shadow": 2}


def draw_bars(figure: Bars, parent: Element) -> None:
    """Append the SVG; a value that is None has a dash instead of a bar."""
    step = BAR * len(figure.lines) + GAP
    largest = max(
        (
            value
            for line in figure.lines
            for series in (line.values, line.high)
            for value in series
            if value is not None
        ),
        default=0.0,
    )
    scale = (WIDTH - LABELS - VALUES) / (largest or 1.0)
    size = WIDTH, step * len(figure.names) + GAP
    svg = canvas(parent, figure.name, size, title=figure.title, about=bars_in_words(figure))
    for row, name in enumerate(figure.names):
        top = GAP + step * row
        _label(svg, name, top + BAR * len(figure.lines) / 2)
        for order, line in enumerate(figure.lines):
            value, y = line.values[row], top + BAR * order
            low, high = (line.low[row], line.high[row]) if line.low else (None, None)
            text, end = written(value, figure.form), LABELS
            if value is not None:
                width = max(value, 0.0) * scale
                bar = element(
                    "rect", svg, class_=f"bar tone-{line.tone}", x=number(LABELS), y=number(y + 1),
                    width=number(max(width, 0.5)), height=number(BAR - 2),
                )  # fmt: skip
                element("title", bar, f"{line.name}, {name}: {text}{between(low, high, figure.form)}")
                end += max(width, (high or 0.0) * scale)
            if low is not None and high is not None:
                y_line = number(y + BAR / 2)
                ends = {"x1": number(LABELS + low * scale), "x2": number(LABELS + high * scale)}
                element("line", svg, class_="whisker", y1=y_line, y2=y_line, **ends)
            element("text", svg, text, class_="tick", x=number(end + 5), y=number(y + BAR / 2), dy="0.32em")


def bars_in_words(figure: Bars) -> str:
    """The picture in words, at most twelve names of it."""
    told = [
        f"{name}: " + ", ".join(f"{line.name} {written(line.values[row], figure.form)}" for line in figure.lines)
        for row, name in enumerate(figure.names[:12])
    ]
    left = len(figure.names) - len(told)
    return "; ".join(told) + (f"; {left} more in the table." if left else ".")


def draw_spans(figure: Spans, parent: Element) -> None:
    """Append the SVG: a row for each name, a bar for each of its spans."""
    ends = [_moment(span.end or figure.until) for row in figure.rows for span in row.spans]
    starts = [_moment(span.start) for row in figure.rows for span in row.spans]
    first, last = min(starts), max(*ends, _moment(figure.until))
    seconds = max((last - first).total_seconds(), 1.0)

    def x(at: datetime) -> float:
        return LABELS + (at - first).total_seconds() / seconds * (WIDTH - LABELS - 10)

    height = 24.0 * len(figure.rows) + 30
    svg = canvas(parent, figure.name, (WIDTH, height), title=figure.title, about=spans_in_words(figure))
    for order, row in enumerate(figure.rows):
        top = 8 + 24.0 * order
        _label(svg, row.name, top + 8)
        for span in row.spans:
            left, right = x(_moment(span.start)), x(_moment(span.end or figure.until))
            bar = element(
                "rect", svg, class_=f"bar tone-{_ROLES.get(span.role, 3)}", x=number(left), y=number(top),
                width=number(max(right - left, 2.0)), height="16",
            )  # fmt: skip
            element("title", bar, f"{row.name}: {_span(span.role, span.start, span.end)}")
    for at, anchor in ((first, "start"), (last, "end")):
        place = {"x": number(x(at)), "y": number(height - 6), "text_anchor": anchor}
        element("text", svg, f"{at:%Y-%m-%d}", class_="tick", **place)


def spans_in_words(figure: Spans) -> str:
    """The picture in words."""
    return " ".join(
        f"{row.name}: {'; '.join(_span(span.role, span.start, span.end) for span in row.spans)}." for row in figure.rows
    )


def _moment(text: str) -> datetime:
    """A time in UTC; the home's files have a zone, those of a server none."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _span(role: str, start: str, end: str | None) -> str:
    return f"{role} from {start[:10]} {f'to {end[:10]}' if end else 'on'}"


def _label(svg: Element, name: str, y: float) -> None:
    short = name if len(name) <= _MOST_LETTERS else name[: _MOST_LETTERS - 1] + "…"
    label = element(
        "text", svg, short, class_="label", x=number(LABELS - 7), y=number(y), text_anchor="end", dy="0.32em"
    )
    if short != name:
        element("title", label, name)
