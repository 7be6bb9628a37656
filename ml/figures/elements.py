"""Elements of HTML and SVG; the standard library escapes every text and attribute when it writes them."""

import re
from urllib.parse import quote
from xml.etree import ElementTree as ET

Element = ET.Element
# HTML forbids them; XML cannot write them
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with control characters shown as a sign."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def element(tag: str, parent: Element | None = None, text: str = "", **attributes: object) -> Element:
    """A new element, appended to ``parent``; ``class_`` is class, ``aria_label`` is aria-label."""
    named = {
        name.rstrip("_").replace("_", "-"): clean(str(value)) for name, value in attributes.items() if value is not None
    }
    found = ET.Element(tag, named) if parent is None else ET.SubElement(parent, tag, named)
    if text:
        found.text = clean(text)
    return found


def html(*elements: Element) -> str:
    """The elements as HTML."""
    return "".join(ET.tostring(each, encoding="unicode", method="html") for each in elements)


def anchor(name: str) -> str:
    """The name as an id, which may hold no blank.

    >>> anchor("bins-annual rate")
    'bins-annual%20rate'
    """
    return quote(clean(name), safe="")


def canvas(parent: Element, name: str, size: tuple[float, float], *, title: str, about: str) -> Element:
    """An SVG that scales with its column, named and described for those who do not see it."""
    name = anchor(name)
    svg = element(
        "svg",
        parent,
        class_="drawing",
        viewBox=f"0 0 {number(size[0])} {number(size[1])}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )
    element("title", svg, title, id=f"{name}-title")
    element("desc", svg, about or title, id=f"{name}-desc")
    return svg


def number(value: float) -> str:
    """A coordinate, with a hundredth of a unit."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
