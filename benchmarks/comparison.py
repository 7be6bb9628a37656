"""One claim, measured twice in the same run: with Loanlake and with its peer."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """``ours`` and ``peers`` are in ``unit``; ``higher_is_better`` tells which way round the ratio goes."""

    what: str
    peer: str
    unit: str
    ours: float
    peers: float
    higher_is_better: bool

    @property
    def times_better(self) -> float:
        """How many times better ours is; below 1 where the peer wins, 1 where they are equal."""
        if self.ours == self.peers:
            return 1.0
        better, worse = (self.ours, self.peers) if self.higher_is_better else (self.peers, self.ours)
        return better / worse if worse else float("inf")


def table(comparisons: Sequence[Comparison]) -> str:
    """A Markdown table, one line a comparison."""
    head = ("what", "Loanlake", "peer", "", "times better")
    rows = [
        (
            row.what,
            f"{_short(row.ours)} {row.unit}",
            f"{_short(row.peers)} {row.unit}",
            row.peer,
            f"{row.times_better:.1f}",
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
