"""A figure as HTML: a caption, the drawing, a key, and a table of every value."""

from collections.abc import Sequence
from functools import singledispatch
from pathlib import Path

from ml.figures.bars import draw_bars, draw_spans
from ml.figures.elements import Element, anchor, clean, element, html
from ml.figures.forms import between, written
from ml.figures.lines import MANY, draw_lines
from ml.figures.shapes import (
    Bars,
    Cell,
    Figure,
    Folded,
    Heat,
    Line,
    Lines,
    Missing,
    Note,
    Spans,
    Table,
)

#: From this level on a cell has a sign, so that it is seen without colours.
MARKED = 3
#: Columns of a heat map that a sheet of paper has room for, as figures.css has it.
_MOST_PRINTED = 12


def figure_html(figure: Figure) -> str:
    """The figure; every text in it is escaped."""
    return html(_element(figure))


def style_sheet() -> str:
    """The figures' style, for a page to link and a report to carry."""
    return (Path(__file__).parent / "figures.css").read_text(encoding="utf-8")


@singledispatch
def _element(figure: Figure) -> Element:
    raise TypeError(f"a figure must be one of ml.figures.shapes: found {type(figure).__name__}")


@_element.register
def _lines(figure: Lines) -> Element:
    if not any(value is not None for line in figure.lines for value in line.values):
        return _nothing(figure.title, figure.about)
    found = _framed(figure.name, figure.title, figure.about)
    draw_lines(figure, found)
    names = {f"{line.tone}": line for line in figure.lines}
    _key(found, figure.lines if len(figure.lines) <= MANY else [_group(line) for line in names.values()])
    _values(found, figure, figure.place_title, figure.places)
    return found


@_element.register
def _bars(figure: Bars) -> Element:
    if not figure.names:
        return _nothing(figure.title, figure.about)
    found = _framed(figure.name, figure.title, figure.about)
    draw_bars(figure, found)
    if len(figure.lines) > 1:
        _key(found, [Line(name=line.name, values=(), kind="line", tone=line.tone) for line in figure.lines])
    _values(found, figure, figure.name_title, figure.names)
    return found


@_element.register
def _spans(figure: Spans) -> Element:
    found = _framed(figure.name, figure.title, figure.about)
    draw_spans(figure, found)
    rows = [
        [row.name, span.role, span.start[:19].replace("T", " "), (span.end or "now")[:19].replace("T", " ")]
        for row in figure.rows
        for span in row.spans
    ]
    _folded_table(found, figure.name, figure.title, ["Version", "Role", "From", "To"], rows, n_texts=4)
    return found


@_element.register
def _heat(figure: Heat) -> Element:
    found = _framed(figure.name, figure.title, figure.about, class_="figure whole")
    if len(figure.columns) > _MOST_PRINTED:
        text = f"Printed are the first {_MOST_PRINTED} of {len(figure.columns)} columns."
        element("span", found[0], text, class_="under printed")
    body = _table(found, figure.name, figure.title, [figure.row_title, *figure.columns], class_="heat")
    for row in figure.rows:
        line = element("tr", body)
        _text(element("th", line, scope="row"), row.name, row.href)
        for cell in row.cells:
            _cell(line, cell)
    return found


@_element.register
def _words(figure: Table) -> Element:
    found = _framed(figure.name, figure.title, figure.about, class_="figure whole")
    _rows(_table(found, figure.name, figure.title, figure.header, n_texts=figure.n_texts), figure.rows, figure.n_texts)
    return found


@_element.register
def _folded(figure: Folded) -> Element:
    found = element("details", class_="whole")
    element("summary", found, figure.summary)
    inside = element("div", found, class_="figures")
    for each in figure.figures:
        inside.append(_element(each))
    return found


@_element.register
def _missing(figure: Missing) -> Element:
    found = element("p", class_="notice whole", text=f"{figure.what} " if figure.command else figure.what)
    if figure.command:
        element("code", found, figure.command)
    return found


@_element.register
def _note(figure: Note) -> Element:
    return element("p", class_="whole", text=figure.text)


def _nothing(title: str, about: str) -> Element:
    return element("p", class_="notice", text=f"{title}: there is no value to draw. {about}".strip())


def _framed(name: str, title: str, about: str, *, class_: str = "figure") -> Element:
    found = element("figure", class_=class_, id=anchor(name))
    caption = element("figcaption", found)
    element("strong", caption, title)
    if about:
        element("span", caption, about, class_="under")
    return found


def _group(line: Line) -> Line:
    """The year of a vintage: what the lines of one colour have in common."""
    return Line(name=line.name[:4], values=(), tone=line.tone)


def _key(parent: Element, lines: Sequence[Line]) -> None:
    key = element("ul", parent, class_="key")
    for line in lines:
        item = element("li", key)
        sign = element("svg", item, class_="sign", width=22, height=12, aria_hidden="true", focusable="false")
        group = element("g", sign, class_=f"{line.kind} tone-{line.tone}")
        if line.kind == "points":
            element("circle", group, cx=11, cy=6, r=4)
        else:
            element("line", group, x1=1, x2=21, y1=6, y2=6)
        sign.tail = clean(line.name)


def _values(parent: Element, figure: Lines | Bars, place_title: str, places: Sequence[str]) -> None:
    def text(line: Line, place: int) -> str:
        ends = (line.low[place], line.high[place]) if line.low else (None, None)
        return written(line.values[place], figure.form) + between(*ends, figure.form)

    lines = figure.lines
    if len(lines) > MANY:  # many lines are rows
        rows = [[line.name, *(text(line, place) for place in range(len(places)))] for line in lines]
        _folded_table(parent, figure.name, figure.title, ["", *places], rows)
    else:
        rows = [[at, *(text(line, place) for line in lines)] for place, at in enumerate(places)]
        _folded_table(parent, figure.name, figure.title, [place_title, *(line.name for line in lines)], rows)


def _folded_table(
    parent: Element, name: str, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, n_texts: int = 1
) -> None:
    details = element("details", parent)
    element("summary", details, "Values")
    _rows(_table(details, name, title, header, n_texts=n_texts), rows, n_texts)


def _table(
    parent: Element, name: str, title: str, header: Sequence[str], *, class_: str = "values-of", n_texts: int = 1
) -> Element:
    """An empty table that scrolls sideways, and its body."""
    scroll = element(
        "div",
        parent,
        class_="scroll",
        role="region",
        tabindex=0,
        aria_label=f"Table: {title}",
        id=f"{anchor(name)}-values",
    )
    table = element("table", scroll, class_=f"{class_} texts" if n_texts == len(header) else class_)
    line = element("tr", element("thead", table))
    for column, text in enumerate(header):
        element("th", line, text, scope="col", class_=None if column < n_texts else "number")
    return element("tbody", table)


def _rows(body: Element, rows: Sequence[Sequence[str]], n_texts: int) -> None:
    for row in rows:
        line = element("tr", body)
        for column, text in enumerate(row):
            if column == 0:
                element("th", line, text, scope="row")
            else:
                element("td", line, text, class_=None if column < n_texts else "number")


def _cell(line: Element, cell: Cell | None) -> None:
    if cell is None:
        element("td", line, "–", class_="number gap", title="no data")
        return
    found = element("td", line, class_=f"number level-{cell.level}", title=cell.about or None)
    text = f"\N{BLACK UP-POINTING TRIANGLE}\N{NO-BREAK SPACE}{cell.text}" if cell.level >= MARKED else cell.text
    _text(found, text, cell.href)


def _text(parent: Element, text: str, href: str) -> None:
    if href:
        element("a", parent, text, href=href)
    else:
        parent.text = clean(text)
