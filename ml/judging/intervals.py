"""Whether the intervals of probabilities hold on loans that made none of them: coverage by score and by month.

No single loan shows whether its interval is right, since it only defaults or does not. Groups of loans do. A group
agrees with its intervals if some default rate between the group's mean low and mean high end fits what was observed: it
lies inside the observed rate's 95 % score interval (Wilson 1927, "Probable inference, the law of succession, and
statistical inference"). That is the binomial test of a grade's default rate (Basel Committee, Working Paper 14, 2005),
with the interval in place of one probability. Of groups whose true rate lies inside, 95 % or more agree.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.judging.metrics import ECE_BINS, NAN, Z95, equal_mass_bins

Floats = NDArray[np.float64]


class Intervals(NamedTuple):
    """The intervals of loans' probabilities, each of shape (n,), and whether the policy refers the loan."""

    low: Floats
    high: Floats
    is_referred: NDArray[np.bool_]


@dataclass(frozen=True)
class IntervalGroup:
    """Loans of similar score or of one month: mean interval, observed default rate, and that rate's 95 % interval."""

    group: str
    n: int
    mean_probability: float
    mean_low: float
    mean_high: float
    default_rate: float
    rate_low: float
    rate_high: float

    @property
    def agrees(self) -> bool:
        """Whether a rate inside the mean interval fits the observed one."""
        return self.rate_low <= self.mean_high and self.mean_low <= self.rate_high


@dataclass(frozen=True)
class IntervalFigures:
    """The intervals of one model on one set of loans.

    ``widened_share``: of loans whose probability is itself an end of the interval, since the Venn–Abers interval alone
    does not hold it. ``refer_rate``: share of loans referred to a person. ``by_score``: groups of equal numbers of
    loans, safest first. ``by_month``: oldest first.
    """

    mean_width: float
    widened_share: float
    refer_rate: float
    by_score: tuple[IntervalGroup, ...]
    by_month: tuple[IntervalGroup, ...]

    @property
    def coverage(self) -> float:
        """Share of the groups by score that agree with their intervals; ``nan`` without loans."""
        return sum(each.agrees for each in self.by_score) / len(self.by_score) if self.by_score else NAN

    @property
    def text(self) -> str:
        """The figures in one line."""
        of_score, of_month = (sum(each.agrees for each in groups) for groups in (self.by_score, self.by_month))
        return (
            f"mean width {self.mean_width:.4f}, agrees with the default rate of {of_score} of {len(self.by_score)} "
            f"score groups and {of_month} of {len(self.by_month)} months; {self.refer_rate:.1%} of test loans referred"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        groups = {name: tuple(IntervalGroup(**each) for each in data[name]) for name in ("by_score", "by_month")}
        return cls(**{**data, **groups})


def measure_intervals(
    defaulted: ArrayLike, probability: ArrayLike, intervals: Intervals, months: NDArray[np.object_]
) -> IntervalFigures:
    """Measure the intervals of loans; ``months`` of decision, such as "2011-07"."""
    y, p = np.asarray(defaulted, dtype=np.float64), np.asarray(probability, dtype=np.float64)
    low, high, is_referred = intervals
    names, month = np.unique(months, return_inverse=True)
    is_end = (low == p) | (high == p)
    return IntervalFigures(
        mean_width=float((high - low).mean()) if len(p) else NAN,
        widened_share=float(is_end.mean()) if len(p) else NAN,
        refer_rate=float(is_referred.mean()) if len(p) else NAN,
        by_score=tuple(
            _groups(equal_mass_bins(p, ECE_BINS), [str(number + 1) for number in range(ECE_BINS)], y, p, low, high)
        ),
        by_month=tuple(_groups(month, names.tolist(), y, p, low, high)),
    )


def _groups(code: NDArray[np.intp], names: list[str], y: Floats, *columns: Floats) -> Iterator[IntervalGroup]:
    n = np.bincount(code, minlength=len(names))
    bad, *sums = (np.bincount(code, weights=values, minlength=len(names)) for values in (y, *columns))
    for number in np.flatnonzero(n):
        size = int(n[number])
        rate_low, rate_high = wilson(int(bad[number]), size)
        probability, low, high = (float(total[number]) / size for total in sums)
        yield IntervalGroup(names[number], size, probability, low, high, float(bad[number]) / size, rate_low, rate_high)


def wilson(n_defaults: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a default rate: the rates from which a normal test does not tell the observed one.

    >>> tuple(round(end, 4) for end in wilson(10, 100))
    (0.0552, 0.1744)
    """
    rate, z2 = n_defaults / n, Z95**2
    middle = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * float(np.sqrt(rate * (1 - rate) / n + z2 / (4 * n**2)))
    return max(middle - half, 0.0), min(middle + half, 1.0)
