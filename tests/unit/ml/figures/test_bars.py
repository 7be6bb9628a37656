"""Bars are as long as their values, and spans as long as their times."""

import pytest

from ml.figures.bars import LABELS
from ml.figures.shapes import Bars, Line, Span, SpanRow, Spans
from tests.unit.ml.figures.drawn import drawn, texts


def test_bars_are_as_long_as_their_values() -> None:
    figure = Bars(
        name="bins",
        title="Bins",
        names=["to 1", "above 1"],
        name_title="Bin",
        form="share",
        lines=[Line(name="then", values=[0.2, 0.4]), Line(name="now", values=[None, 0.1], tone=1)],
    )

    page, drawing = drawn(figure)

    widths = [float(each.attrib["width"]) for each in drawing.iter("rect")]
    assert len(widths) == 3  # what is missing has no bar, not one of length 0
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.02)
    assert widths[2] == pytest.approx(widths[0] / 2, abs=0.02)
    assert "to 120.0 %–" in [row.text.replace("\N{NO-BREAK SPACE}", " ") for row in page.all("tr")]


def test_a_long_name_is_cut_and_whole_in_its_title() -> None:
    name = "a purpose with a very long name"
    figure = Bars(
        name="b", title="B", names=[name], name_title="Purpose", form="share", lines=[Line(name="x", values=[1.0])]
    )

    _, drawing = drawn(figure)

    assert "a purpose with a v…" in texts(drawing, "text")[0]
    assert name in texts(drawing, "title")


def test_spans_begin_and_end_at_their_times() -> None:
    rows = [
        SpanRow("version 1", [Span("2025-01-01T00:00:00+00:00", "2025-01-11T00:00:00+00:00", "champion")]),
        SpanRow("version 2", [Span("2025-01-11T00:00:00+00:00", None, "champion")]),
    ]

    page, drawing = drawn(Spans(name="service", title="Service", rows=rows, until="2025-01-21T00:00:00"))

    first, second = drawing.iter("rect")
    assert float(first.attrib["x"]) == LABELS
    assert float(second.attrib["x"]) == pytest.approx(LABELS + float(first.attrib["width"]), abs=0.02)
    assert first.attrib["width"] == second.attrib["width"]
    assert "version 2: champion from 2025-01-11 on." in texts(drawing, "desc")[0]
    assert "version 2champion2025-01-11 00:00:00now" in [row.text for row in page.all("tr")]
