"""Values as people read them, and the round values of an axis."""

import math
from collections.abc import Sequence

from ml.figures.shapes import Form

#: What stands for a value that is not there.
NONE = "–"


def written(value: float | None, form: Form) -> str:
    r"""A value, or a dash.

    >>> written(0.2731, "share"), written(0.7123, "index"), written(1234567.0, "amount"), written(None, "share")
    ('27.3\xa0%', '0.712', '1.23 M', '–')
    """
    if value is None or not math.isfinite(value):
        return NONE
    if form == "share":
        return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
    if form == "index":
        return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
    if form == "count":
        return f"{value:,.0f}"
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def between(low: float | None, high: float | None, form: Form) -> str:
    """An interval in brackets, or nothing."""
    return "" if low is None or high is None else f" ({written(low, form)} to {written(high, form)})"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values from the last below ``low`` to the first above ``high``.

    >>> ticks(0.0, 0.23)
    [0.0, 0.05, 0.1, 0.15, 0.2, 0.25]
    """
    span = (high - low) or abs(high) or 1.0
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, max(last, first + 1) + 1)]


def spread(n: int, most: int) -> list[int]:
    """Which of ``n`` places to name, so that at most ``most`` are, evenly from the first on.

    >>> spread(10, 4)
    [0, 3, 6, 9]
    """
    return list(range(0, n, max(math.ceil(n / most), 1)))


def in_words(names: Sequence[str], values: Sequence[float | None], form: Form) -> str:
    """What a line does, for those who do not see it: its ends, extremes and gaps.

    >>> in_words(["2025-01", "2025-02", "2025-03"], [0.1, None, 0.3], "share").replace("\\xa0", " ")
    '10.0 % in 2025-01, 30.0 % in 2025-03; lowest 10.0 %, highest 30.0 %; 1 of 3 without a value'
    """
    known = [(name, value) for name, value in zip(names, values, strict=True) if value is not None]
    if not known:
        return "no values"
    ends = dict([known[0], known[-1]])
    text = ", ".join(f"{written(value, form)} in {name}" for name, value in ends.items())
    figures = [value for _, value in known]
    if len(known) > 2 or len(known) < len(values):
        text += f"; lowest {written(min(figures), form)}, highest {written(max(figures), form)}"
    gaps = len(values) - len(known)
    return f"{text}; {gaps} of {len(values)} without a value" if gaps else text
