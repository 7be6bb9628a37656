"""Templates to HTML: every value is escaped, and an unknown name is an error."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.figures.rendering import style_sheet
from warehouse.alerts.rules import alert_rules

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_HERE = Path(__file__).parent
#: The page may load only its own style and icon, and send forms only to itself.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
STATIC = {
    "page.css": "text/css; charset=utf-8",
    "figures.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def render(template: str, context: Mapping[str, Any]) -> str:
    """The page. Call it in a thread."""
    return _environment().get_template(template).render(context)


def compile_templates() -> None:
    """Do what the first visitor would wait for: import Jinja2 and compile every template, 0.2 s of processor time."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)
    alert_rules()


def static_file(name: str) -> bytes:
    """One of :data:`STATIC`."""
    return style_sheet().encode() if name == "figures.css" else (_HERE / "static" / name).read_bytes()


@cache
def _environment() -> "Environment":
    # not with the module: an API is ready before a page is
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        **{each.__name__: each for each in (percent, moment, iso, shown, words, code, names)},
        "odds": math.exp,
        "signed": lambda number: f"{number:+.2f}".replace("-", "\N{MINUS SIGN}"),
    }
    return environment


def percent(share: float) -> str:
    r"""A share with a tenth of a percent, or more digits if that would show 0.

    >>> percent(0.2731), percent(0.1), percent(0.00042), percent(1.0)
    ('27.3\xa0%', '10\xa0%', '0.042\xa0%', '100\xa0%')
    """
    digits = f"{share * 100:.1f}" if share >= 0.001 or share == 0 else f"{share * 100:.2g}"
    return f"{digits.removesuffix('.0')}\N{NO-BREAK SPACE}%"


def moment(at: datetime | str) -> str:
    """A time for people, in UTC; ``at`` may be ISO 8601."""
    return f"{datetime.fromisoformat(at) if isinstance(at, str) else at:%Y-%m-%d %H:%M:%S} UTC"


def iso(at: datetime | str) -> str:
    """The same for machines."""
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat(timespec="seconds")


def words(name: str) -> str:
    """A word of the API as people write it.

    >>> words("scored_with_stale_history")
    'scored with stale history'
    """
    return name.replace("_", " ")


def code(text: str) -> "Markup":
    """A text as HTML, its parts between backticks as code.

    >>> str(code("`loanlake run` <again>"))
    '<code>loanlake run</code> &lt;again&gt;'
    """
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if is_code else escape(part)
        for part, is_code in zip(parts, cycle((False, True)), strict=False)
    )


def names(text: str) -> "Markup":
    """A text as HTML, whose names may break into lines at their underscores, and not within a word.

    >>> str(names("prior_default_share <1>"))
    'prior_<wbr>default_<wbr>share &lt;1&gt;'
    """
    from markupsafe import Markup, escape

    return Markup("_<wbr>").join(escape(part) for part in text.split("_"))


def shown(value: object) -> str:
    """A logged value, exact, so that two different ones never look alike.

    >>> shown(12000.0), shown(0.1199), shown(True), shown(None), shown("car")
    ('12,000', '0.1199', 'yes', 'not given', 'car')
    """
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
