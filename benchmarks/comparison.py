"""One claim, measured twice in the same run: with Loanlake and with its peer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_TIMES = {"s", "ms", "µs"}


@dataclass(frozen=True)
class Comparison:
    """``ours`` and ``peers`` are in ``unit``; ``higher_is_better`` gives the direction of the ratio."""

    what: str
    peer: str
    unit: str
    ours: float
    peers: float
    higher_is_better: bool

    @property
    def times_better(self) -> float:
        """How many times better ours is; below 1 if the peer wins, 1 if they are equal."""
        if self.ours == self.peers:
            return 1.0
        better, worse = (self.ours, self.peers) if self.higher_is_better else (self.peers, self.ours)
        return better / worse if worse else float("inf")

    @property
    def verdict(self) -> str:
        """The ratio in words that can't be read the wrong way round.

        >>> Comparison("a query", "its peer", "s", 0.5, 0.9, higher_is_better=False).verdict
        '1.8× faster'
        >>> Comparison("a server", "its peer", "requests/s", 50, 100, higher_is_better=True).verdict
        '2.0× less'
        """
        better, worse = ("more", "less") if self.higher_is_better else ("less", "more")
        if self.unit.split()[0] in _TIMES:
            better, worse = "faster", "slower"
        times = self.times_better
        if math.isnan(times):
            return "not measured"
        return f"{times:.1f}× {better}" if times >= 1 else f"{1 / times:.1f}× {worse}"


def table(comparisons: Sequence[Comparison]) -> str:
    """A Markdown table, one line a comparison."""
    head = ("what", "Loanlake", "peer", "", "Loanlake is")
    rows = [
        (
            row.what,
            f"{_short(row.ours)} {row.unit}",
            f"{_short(row.peers)} {row.unit}",
            row.peer,
            row.verdict,
        )
        for row in comparisons
    ]
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    lines = [head, tuple("-" * width for width in widths), *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
