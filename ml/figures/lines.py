"""Lines, intervals and points over months or numbers, as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from ml.figures.elements import Element, canvas, element, number
from ml.figures.forms import between, in_words, spread, ticks, written
from ml.figures.shapes import Line, Lines, Values

#: In units of the view box: a figure is at most half a page wide, and readable on a telephone.
WIDTH, HEIGHT = 380.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 14.0, 12.0, 40.0
#: More lines than this are thin, without dots; their description is left to the table.
MANY = 8
_MOST_DOTS = 40
_MOST_NAMES = 5
#: Space beside the first and last of names that are no months.
_INSET = 30.0
#: Room for the name of a mark and its value.
_NAME_WIDTH = 100.0
#: Of a letter below the figure, about.
_LETTER_WIDTH = 6.4


@dataclass(frozen=True)
class _Plane:
    """From values to coordinates."""

    places: Sequence[float]
    low: float
    high: float
    inset: float = 0.0

    def x(self, place: int) -> float:
        return self.x_of(self.places[place])

    def x_of(self, value: float) -> float:
        first, last = self.places[0], self.places[-1]
        if last == first:
            return (LEFT + WIDTH - RIGHT) / 2
        return LEFT + self.inset + (value - first) / (last - first) * (WIDTH - LEFT - RIGHT - 2 * self.inset)

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def draw_lines(figure: Lines, parent: Element) -> None:
    """Append the SVG; values that are None leave a gap."""
    values = [
        value
        for line in figure.lines
        for series in (line.values, line.low, line.high)
        for value in series
        if value is not None
    ]
    marks = ticks(min([*values, *([0.0] if figure.from_zero else [])]), max(values))
    are_names = all(line.kind == "points" for line in figure.lines)
    plane = _Plane(figure.numbers or range(len(figure.places)), marks[0], marks[-1], _INSET if are_names else 0.0)
    svg = canvas(parent, figure.name, (WIDTH, HEIGHT), title=figure.title, about=description(figure))
    _axes(svg, figure, plane, marks)
    dotted = len(figure.lines) <= MANY and len(figure.places) <= _MOST_DOTS
    for line in figure.lines:
        if line.low and line.kind != "points":
            for run in runs(line.low, line.high):
                _band(svg, plane, line, run)
    for line in figure.lines:
        _line(svg, figure, plane, line, dotted=dotted)


def description(figure: Lines) -> str:
    """The picture in words."""
    if len(figure.lines) > MANY:
        return f"{len(figure.lines)} lines, from {figure.lines[0].name} to {figure.lines[-1].name}; the table has all."
    told = (f"{line.name}: {in_words(figure.places, line.values, figure.form)}." for line in figure.lines)
    return " ".join([*told, *(f"{mark.name} at {written(mark.at, 'index')}." for mark in figure.marks)])


def runs(*series: Values) -> list[list[int]]:
    """Places in a row at which every series has a value.

    >>> runs([1.0, None, 2.0, 3.0])
    [[0], [2, 3]]
    """
    found: list[list[int]] = []
    for place, values in enumerate(zip(*series, strict=True)):
        if any(value is None for value in values):
            continue
        if found and found[-1][-1] == place - 1:
            found[-1].append(place)
        else:
            found.append([place])
    return found


def _axes(svg: Element, figure: Lines, plane: _Plane, marks: Sequence[float]) -> None:
    for tick in marks:
        y = number(plane.y(tick))
        element("line", svg, class_="grid", x1=number(LEFT), x2=number(WIDTH - RIGHT), y1=y, y2=y)
        text = written(tick, figure.form).replace(".0\N{NO-BREAK SPACE}", "\N{NO-BREAK SPACE}")
        element("text", svg, text, class_="tick", x=number(LEFT - 6), y=y, text_anchor="end", dy="0.32em")
    named = _named_numbers(figure) if figure.numbers else [
        (float(place), figure.places[place]) for place in spread(len(figure.places), _MOST_NAMES)
    ]  # fmt: skip
    for at, name in named:
        # below its place, and only as far from there as the edge of the figure asks: it would touch the name before
        x = min(plane.x_of(at), WIDTH - len(name) * _LETTER_WIDTH / 2)
        element("text", svg, name, class_="tick", x=number(x), y=number(HEIGHT - BOTTOM + 16), text_anchor="middle")
    middle = number((LEFT + WIDTH - RIGHT) / 2)
    element("text", svg, figure.place_title, class_="tick", x=middle, y=number(HEIGHT - 5), text_anchor="middle")
    _marks(svg, figure, plane)


def _marks(svg: Element, figure: Lines, plane: _Plane) -> None:
    """Each mark's line; the names, with the value, one below the other in the order of the lines.

    All on one side of all lines, so that none crosses a name: right of the last, or left of the first where the last
    is too near to the edge. At the bottom, since what is worth a mark is mostly high.
    """
    ordered = sorted(figure.marks, key=lambda each: each.at)
    places = [plane.x_of(mark.at) for mark in ordered]
    for x in map(number, places):
        element("line", svg, class_="mark", x1=x, x2=x, y1=number(TOP), y2=number(HEIGHT - BOTTOM))
    to_the_left = bool(places) and places[-1] > WIDTH - RIGHT - _NAME_WIDTH
    for order, mark in enumerate(ordered):
        x, y = (
            number(places[0] - 4 if to_the_left else places[-1] + 4),
            number(HEIGHT - BOTTOM - 6 - 14 * (len(ordered) - 1 - order)),
        )
        name = f"{mark.name}: {written(mark.at, 'index')}"
        element("text", svg, name, class_="tick", text_anchor="end" if to_the_left else "start", x=x, y=y)


def _named_numbers(figure: Lines) -> list[tuple[float, str]]:
    first, last = figure.numbers[0], figure.numbers[-1]
    return [(at, f"{at:g}") for at in ticks(first, last) if first <= at <= last]


def _band(svg: Element, plane: _Plane, line: Line, run: Sequence[int]) -> None:
    lows, highs = line.low, line.high
    edge = [(plane.x(place), plane.y(highs[place] or 0.0)) for place in run]
    edge += [(plane.x(place), plane.y(lows[place] or 0.0)) for place in reversed(run)]
    if len(run) == 1:  # one month between gaps is a bar, as an area without width would not be seen
        edge = [(x + side, y) for (x, y), side in zip([edge[0], *edge, edge[-1]], (-3, 3, 3, -3), strict=True)]
    element("polygon", svg, class_=f"band tone-{line.tone}", points=_points(edge))


def _line(svg: Element, figure: Lines, plane: _Plane, line: Line, *, dotted: bool) -> None:
    group = element("g", svg, class_=f"{line.kind} tone-{line.tone}{'' if dotted else ' thin'}")
    for run in runs(line.values) if line.kind != "points" else ():
        path = element(
            "polyline", group, points=_points([(plane.x(at), plane.y(line.values[at] or 0.0)) for at in run])
        )
        if not dotted:
            element("title", path, line.name)
    alone = {run[0] for run in runs(line.values) if len(run) == 1}
    for place, value in enumerate(line.values):
        is_dotted = line.kind == "points" or (dotted and line.kind == "line") or place in alone
        if value is None or not is_dotted:
            continue
        x = number(plane.x(place))
        low, high = (line.low[place], line.high[place]) if line.low else (None, None)
        if line.kind == "points" and low is not None and high is not None:
            element("line", group, class_="whisker", x1=x, x2=x, y1=number(plane.y(low)), y2=number(plane.y(high)))
        dot = element("circle", group, cx=x, cy=number(plane.y(value)), r="3.5" if line.kind == "points" else "2")
        text = f"{line.name}, {figure.places[place]}: {written(value, figure.form)}{between(low, high, figure.form)}"
        element("title", dot, text)


def _points(edge: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in edge)
