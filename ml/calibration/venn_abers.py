"""How sure the calibration of a score is: the Venn–Abers interval of its probability of default.

The interval asks what isotonic regression on the tune rows would say of an applicant if the loan were repaid (``p0``)
and if it defaulted (``p1``). One of the two is right, and that one is calibrated whatever the model is, as long as tune
rows and applicants come from the same population (Vovk, Petej 2014, "Venn–Abers predictors", theorem 1). The interval
is wide where few tune rows have such a score, and narrow where many do. It says nothing about one loan's outcome.

Both are step functions of the score. They are tabulated once, exactly, as in Vovk, Petej, Fedorova 2015, "Large-scale
probabilistic predictors with and without guarantees of validity", algorithms 1 to 6: O(n log n) for n tune rows. Steps
of equal value are merged, so that the table holds far fewer scores than rows, and no ids.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.errors import BundleError

Floats = NDArray[np.float64]
_Point = tuple[int, int]


@dataclass(frozen=True)
class VennAbers:
    """The tabulated intervals; scores are raw probabilities, as calibrators accept them.

    ``low``: p0 below the first of ``low_edges`` and from each of them on. ``high``: p1 up to each of ``high_edges`` and
    above the last. Each has one value more than it has edges.
    """

    low_edges: tuple[float, ...]
    low: tuple[float, ...]
    high_edges: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        for edges, values in ((self.low_edges, self.low), (self.high_edges, self.high)):
            if len(values) != len(edges) + 1:
                raise BundleError(
                    f"a Venn–Abers table must have one value more than edges: found {len(values)} and {len(edges)}"
                )

    def bounds(self, raw: ArrayLike) -> tuple[Floats, Floats]:
        """p0 and p1 of raw probabilities, each of their shape; neither falls as the score rises.

        >>> table = VennAbers(low_edges=(0.2,), low=(0.0, 0.1), high_edges=(0.2,), high=(0.4, 1.0))
        >>> [ends.tolist() for ends in table.bounds([0.1, 0.2, 0.3])]
        [[0.0, 0.1, 0.1], [0.4, 0.4, 1.0]]
        """
        scores = np.asarray(raw, dtype=np.float64)
        low_edges, low, high_edges, high = self._arrays
        return low[np.searchsorted(low_edges, scores, "right")], high[np.searchsorted(high_edges, scores, "left")]

    def around(self, raw: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
        """The interval widened to hold the calibrated probability too, as it is answered.

        A smooth calibrator, such as Platt's, can lie outside [p0, p1]. The wider interval still holds the calibrated
        one of the two, and shows where the calibrations disagree.
        """
        low, high = self.bounds(raw)
        return np.minimum(low, probability), np.maximum(high, probability)

    def around_one(self, raw: float, probability: float) -> tuple[float, float]:
        """One value, equal to the bit to what :meth:`around` gives it."""
        low, high = self.low[bisect_right(self.low_edges, raw)], self.high[bisect_left(self.high_edges, raw)]
        return min(low, probability), max(high, probability)

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats, Floats, Floats]:
        low_edges, low, high_edges, high = map(np.array, (self.low_edges, self.low, self.high_edges, self.high))
        return low_edges, low, high_edges, high

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        names = ("low_edges", "low", "high_edges", "high")
        return {name: list(getattr(self, name)) for name in names}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        return cls(tuple(data["low_edges"]), tuple(data["low"]), tuple(data["high_edges"]), tuple(data["high"]))


def fit_venn_abers(raw: ArrayLike, defaulted: ArrayLike) -> VennAbers:
    """Tabulate the intervals of tune rows: raw probabilities and outcomes, each of shape (n,), n ≥ 1."""
    scores, place = np.unique(np.asarray(raw, dtype=np.float64), return_inverse=True)
    n = np.bincount(place, minlength=len(scores))
    bad = np.bincount(place[np.asarray(defaulted, dtype=np.bool_)], minlength=len(scores))
    rise, run = _slopes(n, bad)
    high = np.append(rise / run, 1.0)
    # p0 is p1 of the mirrored problem: safest first becomes riskiest first, and good becomes bad
    rise, run = _slopes(n[::-1], (n - bad)[::-1])
    low = np.append(0.0, ((run - rise) / run)[::-1])
    starts, ends = np.flatnonzero(np.diff(low)), np.flatnonzero(np.diff(high))
    return VennAbers(
        low_edges=tuple(scores[starts].tolist()),
        low=tuple(low[np.append(0, starts + 1)].tolist()),
        high_edges=tuple(scores[ends].tolist()),
        high=tuple(high[np.append(ends, len(high) - 1)].tolist()),
    )


def _slopes(n: NDArray[np.int64], bad: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """p1 at each score as rise over run, exact: the slope, over the added default, of the convex minorant.

    ``n`` and ``bad``: rows and defaults by score, ascending. The minorant is that of the cumulative points, those
    before the added default shifted by (−1, −1). ``corners`` are its corners from the default on, the leftmost last.
    """
    points = list(zip(np.cumsum(n).tolist(), np.cumsum(bad).tolist(), strict=True))
    corners: list[_Point] = []
    for point in reversed([(-1, -1), (0, 0), *points]):
        _push(corners, point)
    rise, run = np.empty(len(points)), np.empty(len(points))
    for i, (x, y) in enumerate(points):
        (left_x, left_y), (right_x, right_y) = corners[-1], corners[-2]
        rise[i], run[i] = right_y - left_y, right_x - left_x
        passed = (x - 1, y - 1)  # the added default moves past this score
        if _is_below(passed, corners[-1], corners[-2]):
            corners.pop()
            _push(corners, passed)
    return rise, run


def _push(corners: list[_Point], point: _Point) -> None:
    """Add a point left of all corners, and remove those that it lifts above the minorant."""
    while len(corners) > 1 and not _is_below(corners[-1], point, corners[-2]):
        corners.pop()
    corners.append(point)


def _is_below(point: _Point, left: _Point, right: _Point) -> bool:
    """Whether a point lies strictly below the line through two others; whole numbers, so exact."""
    return (point[1] - left[1]) * (right[0] - left[0]) < (right[1] - left[1]) * (point[0] - left[0])
