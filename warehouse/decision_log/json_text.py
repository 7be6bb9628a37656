"""Values of a decision as JSON text, without losing a bit.

A double is written so that it reads back exactly; a timestamp or date is ISO 8601 text; a missing value is null. JSON
has no infinity or NaN: they are written as the strings ``Infinity``, ``-Infinity`` and ``NaN``, which DuckDB and Python
both read as numbers.
"""

import math
from collections.abc import Mapping
from datetime import date

import msgspec

_ENCODER = msgspec.json.Encoder()


def dump_values(values: Mapping[str, object]) -> str:
    """Values by name, as an object."""
    # msgspec writes infinities and NaN as null; a sum that is finite has none (one that overflows only costs time)
    if not math.isfinite(sum([value for value in values.values() if type(value) is float])):
        values = {name: plain(value) for name, value in values.items()}
    return _ENCODER.encode(values).decode()


def plain(value: object) -> object:
    """A value as JSON takes it: times as ISO 8601, infinity and NaN as words."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, date):  # datetime is one too
        return value.isoformat()
    return value
