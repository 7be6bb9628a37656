"""Figures as HTML: escaped, described, with a table of values, and honest where there is nothing to draw."""

import pytest
from msgspec.structs import replace

from ml.figures.rendering import figure_html, style_sheet
from ml.figures.shapes import (
    Bars,
    Cell,
    Figure,
    Folded,
    Heat,
    HeatRow,
    Line,
    Lines,
    Missing,
    Note,
    Span,
    SpanRow,
    Spans,
    Table,
)
from tests.unit.ml.figures.drawn import drawn
from tests.unit.serving.page.parsed_page import Page

BAD = "\"'><script>alert(1)</script>\x00\ud800"
_LINE = Line(name=BAD, values=[0.1])
_NAMED = {"name": BAD, "title": BAD, "about": BAD}
FIGURES: list[Figure] = [
    Lines(**_NAMED, places=[BAD], place_title=BAD, form="index", lines=[_LINE]),
    Lines(**_NAMED, places=[BAD], place_title=BAD, form="index", lines=[_LINE] * 9),
    Bars(**_NAMED, names=[BAD], name_title=BAD, form="share", lines=[_LINE, _LINE]),
    Spans(**_NAMED, rows=[SpanRow(BAD, [Span("2025-01-01", None, BAD)])], until="2025-02-01"),
    Heat(**_NAMED, columns=[BAD], row_title=BAD, rows=[HeatRow(BAD, [Cell(BAD, 3, BAD, f"/x?{BAD}")], f"/x?{BAD}")]),
    Table(**_NAMED, header=[BAD], rows=[[BAD]]),
    Folded(BAD, [Note(BAD)]),
    Missing(BAD, BAD),
]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: type(figure).__name__)
def test_every_text_of_a_lender_is_text_and_never_markup(figure: Figure) -> None:
    html = figure_html(figure)

    page = Page(html)
    assert page.all("script") == []
    assert not any(name.startswith(("on", "style")) for each in page.elements for name in each.attributes)
    assert "alert(1)" in html
    assert html.encode()  # no half of a surrogate pair, which no page can be sent with
    assert "\x00" not in html


@pytest.mark.parametrize("figure", [FIGURES[0], *FIGURES[2:4]], ids=lambda figure: type(figure).__name__)
def test_a_drawing_is_named_described_and_has_its_values_beside_it(figure: Figure) -> None:
    page, drawing = drawn(figure)

    title, description = drawing.attrib["aria-labelledby"].split()
    ids = [each.id for each in page.elements if each.id]
    assert drawing.attrib["role"] == "img"
    assert {title, description} <= set(ids)
    assert len(ids) == len(set(ids))
    assert page.one("summary").text == "Values"
    assert len(page.all("table")) == 1
    assert all("scope" in each.attributes for each in page.all("th"))


def test_a_cell_without_data_is_a_dash_and_one_that_has_drifted_a_sign() -> None:
    row = HeatRow("income", [None, Cell("0.10", 0), Cell("0.31", 3, href="/monitoring?feature=income")])

    page = Page(figure_html(Heat(name="m", title="Drift", columns=["1", "2", "3"], row_title="Feature", rows=[row])))

    assert [each.text for each in page.all("td")] == ["–", "0.10", "▲ 0.31"]
    assert page.one("a", href="/monitoring?feature=income").text == "▲ 0.31"


def test_a_map_that_is_wider_than_paper_says_how_many_columns_are_printed() -> None:
    """A printed page cannot be moved sideways: columns beyond its edge would be lost without a word."""
    columns = [str(place) for place in range(13)]
    row = HeatRow("income", [Cell("0.1", 0, "x", "/x")] * 13, "/y")
    wide = Heat(name="m", title="Drift", columns=columns, row_title="Feature", rows=[row])
    fitting = replace(wide, columns=columns[1:], rows=[HeatRow("income", row.cells[1:], "/y")])

    assert "Printed are the first 12 of 13 columns." in Page(figure_html(wide)).one("figcaption").text
    assert "Printed" not in figure_html(fitting)
    assert ":nth-child(n + 14) { display: none; }" in style_sheet()  # the row's name and 12 columns


def test_without_a_single_value_there_is_a_sentence_and_no_empty_axes() -> None:
    empty = Lines(name="auc", title="AUC", places=["2025-01"], form="index", lines=[Line(name="x", values=[None])])

    page = Page(figure_html(empty))

    assert page.all("svg") == []
    assert page.one("p").text == "AUC: there is no value to draw."


def test_what_is_missing_names_the_command_that_makes_it() -> None:
    page = Page(figure_html(Missing("No families were compared.", "loanlake model compare bank")))

    assert page.one("code").text == "loanlake model compare bank"
