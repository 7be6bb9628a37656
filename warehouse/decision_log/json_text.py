"""Values of a decision as JSON text, without loss.

Doubles are written so that they read back exactly; timestamps and dates are ISO 8601 text; a missing value is null.
Infinity and NaN, which JSON lacks, become strings (``-Infinity``) that DuckDB and Python both read as numbers.
"""

import math
from collections.abc import Mapping
from datetime import date

import msgspec

_ENCODER = msgspec.json.Encoder()


def dump_values(values: Mapping[str, object]) -> str:
    """Values by name, as a JSON object."""
    # msgspec writes infinities and NaN as null; a finite sum has none (a sum that overflows only costs time)
    if not math.isfinite(sum([value for value in values.values() if type(value) is float])):
        values = {name: plain(value) for name, value in values.items()}
    return _ENCODER.encode(values).decode()


def plain(value: object) -> object:
    """A value in JSON types: times as ISO 8601, infinity and NaN as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, date):  # includes datetime
        return value.isoformat()
    return value
