"""Sections as HTML, one definition for a page and for the report."""

from collections.abc import Iterable

from ml.figures.rendering import figure_html
from ml.pages.document import Section


def section_html(section: Section) -> str:
    """A section with its heading of level 2; every text in it is escaped."""
    from markupsafe import escape

    name = escape(section.name)
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    figures = "".join(figure_html(figure) for figure in section.figures)
    return (
        f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(section.heading)}</h2>{text}'
        f'<div class="figures">{figures}</div></section>'
    )


def sections_html(sections: Iterable[Section]) -> str:
    """Sections one after the other."""
    return "\n".join(section_html(section) for section in sections)
