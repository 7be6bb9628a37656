"""How far two samples of one column are apart: pure functions of sorted values and of counts.

A number's values are sorted once per side. Deciles, bins and the exact Kolmogorov-Smirnov statistic follow from
positions in the sorted arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Rows in each bin.
Counts = Sequence[int] | NDArray[np.int64]
#: Added to the rows of every bin before shares are computed, so that an empty bin stays finite.
PSEUDO_COUNT = 0.5
#: :func:`widest_gap` looks first at every value of the current sample that is this many after the last one.
_GRID_STEP = 64
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


@dataclass(frozen=True)
class Cuts:
    """Where the bins of a number begin.

    ``above``: the reference's deciles, ascending, each the inclusive upper end of a bin. ``at``: values that span two
    deciles or more, with a bin each. A column that is 95 % ones then has two bins, where deciles alone (all 1) would
    make one.
    """

    above: tuple[float, ...] = ()
    at: tuple[float, ...] = ()

    @property
    def n_bins(self) -> int:
        """Bins of present values, some of which no value may reach."""
        return len(self.above) + len(self.at) + 1

    @property
    def names(self) -> list[str]:
        """The bins of present values, ascending, in words; a bin begins above its first value, and holds its last.

        >>> Cuts(above=(0.0, 2.5, 4.0), at=(0.0, 4.0)).names
        ['below 0', '0', '0 to 2.5', '2.5 to below 4', '4', 'above 4']
        """
        names, start = [], ""
        for cut in self.above:
            end = _shown(cut)
            below = f"{start} to below {end}" if start else f"below {end}"
            names += [below, end] if cut in self.at else [f"{start} to {end}".strip()]
            start = end
        return [*names, f"above {start}" if start else "all"]

    def bins_of(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """The bin of each value, in any order; NaN is the last bin, ``n_bins``."""
        bins = np.searchsorted(self.above, values, side="left") + np.searchsorted(self.at, values, side="right")
        return np.where(np.isnan(values), self.n_bins, bins)

    def counts(self, ordered: NDArray[np.float64], n_missing: int) -> NDArray[np.int64]:
        """Rows in each bin, and last the missing ones; ``ordered``: the present values, ascending."""
        ends = np.concatenate(
            [np.searchsorted(ordered, self.above, side="right"), np.searchsorted(ordered, self.at, side="left")]
        )
        counts = np.diff(np.sort(ends), prepend=0, append=len(ordered))
        return np.append(counts, n_missing)


def _shown(value: float) -> str:
    """A cut with four digits of a fraction, six of a greater number.

    >>> _shown(0.03106741), _shown(13700.0)
    ('0.03107', '13,700')
    """
    return f"{float(f'{value:.4g}' if abs(value) < 1 else f'{value:.6g}'):,.10g}"


class Psi(NamedTuple):
    """Population stability index, and the bins with a row on either side."""

    value: float
    n_bins: int


def deciles_cut(ordered: NDArray[np.float64]) -> Cuts:
    """The cuts of a reference by its present values, ascending; none without values.

    >>> deciles_cut(np.array([0.0] * 5 + [1.0] * 95))
    Cuts(above=(1.0,), at=(1.0,))
    """
    n = len(ordered)
    if n == 0:
        return Cuts()
    # the least value that this number of tenths of the rows does not exceed
    deciles = [float(ordered[max(-(-n * tenth // 10), 1) - 1]) for tenth in range(1, 10)]
    values = sorted(set(deciles))
    return Cuts(above=tuple(values), at=tuple(value for value in values if deciles.count(value) > 1))


def population_stability(
    reference: Sequence[int] | NDArray[np.int64], current: Sequence[int] | NDArray[np.int64]
) -> Psi:
    """The PSI of two samples' rows in the same bins; bins empty on both sides do not count.

    >>> population_stability([50, 50, 0], [50, 50, 0])
    Psi(value=0.0, n_bins=2)
    """
    r, c = np.asarray(reference, np.float64), np.asarray(current, np.float64)
    used = r + c > 0
    r, c = r[used] + PSEUDO_COUNT, c[used] + PSEUDO_COUNT
    r, c = r / r.sum(), c / c.sum()
    return Psi(float(((c - r) * np.log(c / r)).sum()), int(used.sum()))


def months_apart(month_of_row: NDArray[np.int64], bins: NDArray[np.int64], n_bins: int) -> list[float]:
    """PSI of each month of a sample against its other months, by month, of those with a present value.

    ``month_of_row``: a number that ascends with the month; ``bins``: 0 to ``n_bins - 1``, and ``n_bins`` if missing.
    """
    months, position = np.unique(month_of_row, return_inverse=True)
    cells = np.bincount(position * (n_bins + 1) + bins, minlength=len(months) * (n_bins + 1))
    counts = cells.reshape(len(months), n_bins + 1)
    everything = counts.sum(axis=0)
    return [population_stability(everything - month, month).value for month in counts if month[:-1].any()]


def widest_gap(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """The exact two-sample Kolmogorov-Smirnov statistic of two ascending arrays, neither of them empty.

    The widest gap is at a current value or just below one, since between two of them only the reference's share rises.
    The gap is computed at every 64th current value. Between two of these, shares can only rise from one end's to the
    other's, which bounds the gap: only values between points whose bound exceeds the widest gap are looked at.

    >>> widest_gap(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    grid = np.append(current[::_GRID_STEP], current[-1])
    ends = _Positions.of(grid, reference, current)
    widest = ends.widest_gap(len(reference), len(current))
    bound = np.maximum(
        ends.reference_below[1:] / len(reference) - ends.current_up_to[:-1] / len(current),
        ends.current_below[1:] / len(current) - ends.reference_up_to[:-1] / len(reference),
    )
    may_be_wider = bound > widest
    starts, stops = ends.current_up_to[:-1][may_be_wider], ends.current_below[1:][may_be_wider]
    lengths = stops - starts
    if not lengths.sum():
        return widest
    inside = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    between = _Positions.of(np.unique(current[inside]), reference, current)
    return max(widest, between.widest_gap(len(reference), len(current)))


class _Positions(NamedTuple):
    """How many values of each sample are below, and up to, each point."""

    reference_below: NDArray[np.int64]
    reference_up_to: NDArray[np.int64]
    current_below: NDArray[np.int64]
    current_up_to: NDArray[np.int64]

    @classmethod
    def of(
        cls, points: NDArray[np.float64], reference: NDArray[np.float64], current: NDArray[np.float64]
    ) -> "_Positions":
        return cls(
            *(np.searchsorted(sample, points, side=side) for sample in (reference, current) for side in _SIDES),
        )

    def widest_gap(self, n_reference: int, n_current: int) -> float:
        below = np.abs(self.reference_below / n_reference - self.current_below / n_current).max()
        up_to = np.abs(self.reference_up_to / n_reference - self.current_up_to / n_current).max()
        return float(max(below, up_to))


class ChiSquared(NamedTuple):
    """The statistic of a 2 x k table without continuity correction, and its degrees of freedom, k - 1."""

    value: float
    freedom: int


def chi_squared(reference: Counts, current: Counts) -> ChiSquared | None:
    """Chi-squared of two samples' rows by label; None if either is empty, or with a single label.

    >>> round(chi_squared([100, 100], [18, 72]).value, 3)
    23.147
    """
    table = np.array([reference, current], np.float64)
    table = table[:, table.any(axis=0)]
    if table.shape[1] < 2 or not table.any(axis=1).all():
        return None
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    return ChiSquared(float(((table - expected) ** 2 / expected).sum()), table.shape[1] - 1)


@dataclass(frozen=True)
class Numbers:
    """A numeric column of one side: its ``present`` values, ascending, and the number of missing ones."""

    present: NDArray[np.float64]
    n_missing: int

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> "Numbers":
        """Of values in any order; NaN is missing."""
        return cls.sorting(values.copy())

    @classmethod
    def sorting(cls, values: NDArray[np.float64]) -> "Numbers":
        """Of values in any order, which are sorted in place; NaN is missing."""
        values.sort()  # NaN last
        n_present = int(np.searchsorted(values, np.nan))
        return cls(values[:n_present], len(values) - n_present)

    @property
    def n(self) -> int:
        """Rows, missing values included."""
        return len(self.present) + self.n_missing

    def counts(self, cuts: Cuts) -> NDArray[np.int64]:
        """Rows in each bin, and last the missing ones."""
        return cuts.counts(self.present, self.n_missing)


@dataclass(frozen=True)
class Labels:
    """A column of labels of one side: rows of each of the contract's values, of any other, and of none."""

    by_label: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Rows, missing values included."""
        return int(self.by_label.sum())

    @property
    def n_missing(self) -> int:
        """Rows without a value."""
        return int(self.by_label[-1])

    def counts(self, _: Cuts) -> NDArray[np.int64]:
        """Rows in each bin, and last the missing ones."""
        return self.by_label


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A column's month beside the reference; ``reference_months``: the PSI of its months, of a cohort feature.

    ``bins``: name, rows of the reference and rows of the month, of each bin with a row on either side.
    """

    month: date
    n_reference: int
    n_current: int
    n_missing_reference: int
    n_missing_current: int
    psi: Psi
    ks: float | None
    chi_squared: ChiSquared | None
    reference_months: Sequence[float] | None
    bins: Sequence[tuple[str, int, int]]


@dataclass(frozen=True)
class Reference:
    """A column of the training rows, with the bins that it gives; ``labels``: names of the bins of a label."""

    sample: Numbers | Labels
    cuts: Cuts
    months: Sequence[float] | None = None
    labels: Sequence[str] = ()

    @property
    def bin_names(self) -> list[str]:
        """The bins of :meth:`Numbers.counts` and :meth:`Labels.counts`, in words."""
        if isinstance(self.sample, Labels):
            return [*self.labels, "another value", "missing"]
        return [*self.cuts.names, "missing"]

    def compare(self, month: date, current: Numbers | Labels) -> Comparison:
        """Compare a month's decisions, of the same column."""
        reference, counts = self.sample, (self.sample.counts(self.cuts), current.counts(self.cuts))
        ks = chi2 = None
        if isinstance(reference, Labels):
            chi2 = chi_squared(counts[0][:-1], counts[1][:-1])
        elif isinstance(current, Numbers) and len(reference.present) and len(current.present):
            ks = widest_gap(reference.present, current.present)
        return Comparison(
            month=month,
            n_reference=reference.n,
            n_current=current.n,
            n_missing_reference=reference.n_missing,
            n_missing_current=current.n_missing,
            psi=population_stability(*counts),
            ks=ks,
            chi_squared=chi2,
            reference_months=self.months,
            bins=[
                (name, int(then), int(now))
                for name, then, now in zip(self.bin_names, *counts, strict=True)
                if then or now
            ],
        )
