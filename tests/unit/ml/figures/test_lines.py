"""Lines: a value is drawn where it belongs, and a month without data is a gap."""

import pytest

from ml.figures.lines import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from ml.figures.shapes import Line, Lines, Mark
from tests.unit.ml.figures.drawn import drawn, texts

MONTHS = ("2025-01", "2025-02", "2025-03", "2025-04")


def lines(*found: Line, **changed: object) -> Lines:
    given: dict[str, object] = {"name": "auc", "title": "AUC", "places": MONTHS, "form": "index", "lines": found}
    return Lines(**(given | changed))  # type: ignore[arg-type]  # the fields' own types


def test_a_value_is_drawn_where_the_axes_have_it() -> None:
    _, drawing = drawn(lines(Line(name="model", values=[0.0, 0.5, 0.5, 1.0])))

    first, *_, last = drawing.iter("circle")
    assert (float(first.attrib["cx"]), float(first.attrib["cy"])) == (LEFT, HEIGHT - BOTTOM)
    assert (float(last.attrib["cx"]), float(last.attrib["cy"])) == (WIDTH - RIGHT, TOP)
    [path] = drawing.iter("polyline")
    assert len(path.attrib["points"].split()) == 4


def test_a_month_without_a_value_is_a_gap_and_never_a_zero() -> None:
    page, drawing = drawn(lines(Line(name="model", values=[0.4, None, 0.6, 0.8])))

    paths = [len(each.attrib["points"].split()) for each in drawing.iter("polyline")]
    assert paths == [1, 2]
    assert len(list(drawing.iter("circle"))) == 3
    assert "2025-02–" in [row.text for row in page.all("tr")]
    assert "1 of 4 without a value" in texts(drawing, "desc")[0]


def test_an_interval_is_an_area_that_breaks_where_it_is_unknown() -> None:
    known = Line(name="model", values=[0.5] * 4, low=[0.4, None, 0.4, 0.4], high=[0.6, None, 0.6, 0.6])

    _, drawing = drawn(lines(known))

    assert [len(each.attrib["points"].split()) for each in drawing.iter("polygon")] == [4, 4]


def test_points_have_whiskers_and_are_not_joined() -> None:
    _, drawing = drawn(
        lines(Line(name="true", values=[0.5, 0.6, None, None], low=[0.4] * 4, high=[0.7] * 4, kind="points"))
    )

    assert list(drawing.iter("polyline")) == []
    assert len([each for each in drawing.iter("line") if each.attrib["class"] == "whisker"]) == 2
    assert "true, 2025-01: 0.500 (0.400 to 0.700)" in texts(drawing, "title")


def test_numbers_are_placed_by_their_distance_and_marked() -> None:
    figure = lines(
        Line(name="profit", values=[0.0, 1.0, 1.0, 0.5]), numbers=[0.0, 0.1, 0.2, 1.0], marks=[Mark("in force", 0.5)]
    )

    _, drawing = drawn(figure)

    dots = [float(each.attrib["cx"]) for each in drawing.iter("circle")]
    [mark] = [each for each in drawing.iter("line") if each.attrib["class"] == "mark"]
    assert dots[1] - dots[0] < dots[3] - dots[2]
    assert abs(float(mark.attrib["x1"]) - (dots[0] + dots[3]) / 2) < 0.1


@pytest.mark.parametrize("marked", [(0.2, 0.25), (0.1, 0.9)])
def test_no_mark_crosses_the_name_of_one(marked: tuple[float, float]) -> None:
    figure = lines(
        Line(name="profit", values=[0.0, 1.0, 1.0, 0.5]),
        numbers=[0.0, 0.1, 0.2, 1.0],
        marks=[Mark("earned most", marked[1]), Mark("in force", marked[0])],
    )

    _, drawing = drawn(figure)

    places = sorted(float(each.attrib["x1"]) for each in drawing.iter("line") if each.attrib["class"] == "mark")
    names = [each for each in drawing.iter("text") if (each.text or "").startswith(("in force", "earned most"))]
    assert [name.text for name in names] == [f"in force: {marked[0]:.3f}", f"earned most: {marked[1]:.3f}"]
    assert float(names[0].attrib["y"]) < float(names[1].attrib["y"])
    for name in names:
        x, to_the_left = float(name.attrib["x"]), name.attrib["text-anchor"] == "end"
        assert x < places[0] if to_the_left else x > places[-1]


def test_many_lines_have_one_key_a_year_and_a_row_each() -> None:
    vintages = [Line(name=f"{2020 + n // 6}-{n % 6 + 1:02}", values=[0.1] * 4, tone=n // 6) for n in range(12)]

    page, drawing = drawn(lines(*vintages))

    assert [each.text for each in page.all("li")] == ["2020", "2021"]
    assert len(list(drawing.iter("polyline"))) == 12
    assert len(page.all("tr")) == 13
