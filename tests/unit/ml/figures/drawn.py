"""A figure as a browser's tree, and its SVG."""

from xml.etree import ElementTree as ET

from ml.figures.rendering import figure_html
from ml.figures.shapes import Figure
from tests.unit.serving.page.parsed_page import Page


def drawn(figure: Figure) -> tuple[Page, ET.Element]:
    """The parsed HTML, and the first drawing in it."""
    html = figure_html(figure)
    start, end = html.index("<svg"), html.index("</svg>") + len("</svg>")
    return Page(html), ET.fromstring(html[start:end])


def texts(drawing: ET.Element, tag: str) -> list[str]:
    return ["".join(each.itertext()) for each in drawing.iter(tag)]
